{#- The loaded requests or calls, one row each. On DuckDB they are read from files of JSON lines, to
    which every run appends, so that the last line of a request or call is the one that counts. -#}

{% macro loaded(lead) %}{{ adapter.dispatch('loaded', 'calltouch')(lead) }}{% endmacro %}

{% macro default__loaded(lead) %}
    select * from {{ source('calltouch', lead ~ 's') }}
{% endmacro %}

{#- The columns that the models read, by the name of the lead. -#}
{% macro loaded_types() -%}
{{ return({
    'request': {
        'siteId': 'BIGINT', 'requestId': 'BIGINT', 'date': 'TIMESTAMP', 'dateStr': 'VARCHAR',
        'requestNumber': 'VARCHAR', 'subject': 'VARCHAR', 'requestUrl': 'VARCHAR',
        'manager': 'VARCHAR', 'uniqueRequest': 'BOOLEAN', 'targetRequest': 'BOOLEAN',
        'uniqTargetRequest': 'BOOLEAN', 'session': 'JSON', 'client': 'JSON',
        'ctClientId': 'BIGINT', 'ctGlobalId': 'VARCHAR', 'comments': 'JSON', 'orders': 'JSON',
        'RequestTags': 'JSON', 'mapVisits': 'JSON', 'yandexDirect': 'JSON',
        'googleAdWords': 'JSON', 'requestType': 'VARCHAR', 'status': 'VARCHAR',
    },
    'call': {
        'siteId': 'BIGINT', 'callId': 'BIGINT', 'timestamp': 'TIMESTAMP', 'date': 'VARCHAR',
        'callphase': 'VARCHAR', 'attribution': 'BIGINT', 'duration': 'BIGINT',
        'waitingConnect': 'BIGINT', 'callerNumber': 'VARCHAR', 'redirectNumber': 'VARCHAR',
        'phoneNumber': 'VARCHAR', 'manager': 'VARCHAR', 'successful': 'BOOLEAN',
        'uniqueCall': 'BOOLEAN', 'targetCall': 'BOOLEAN', 'uniqTargetCall': 'BOOLEAN',
        'callbackCall': 'BOOLEAN', 'city': 'VARCHAR', 'source': 'VARCHAR',
        'medium': 'VARCHAR', 'keyword': 'VARCHAR', 'url': 'VARCHAR', 'callUrl': 'VARCHAR',
        'ref': 'VARCHAR', 'hostname': 'VARCHAR', 'utmSource': 'VARCHAR',
        'utmMedium': 'VARCHAR', 'utmCampaign': 'VARCHAR', 'utmContent': 'VARCHAR',
        'utmTerm': 'VARCHAR', 'sessionId': 'BIGINT', 'sessionDate': 'VARCHAR',
        'ctCallerId': 'VARCHAR', 'clientId': 'VARCHAR', 'yaClientId': 'VARCHAR',
        'sipCallId': 'VARCHAR', 'userAgent': 'VARCHAR', 'ip': 'VARCHAR',
        'callReferenceId': 'VARCHAR', 'device': 'VARCHAR', 'os': 'VARCHAR',
        'browser': 'VARCHAR', 'siteName': 'VARCHAR', 'ctClientId': 'BIGINT',
        'ctGlobalId': 'VARCHAR', 'subPoolName': 'VARCHAR', 'poolType': 'VARCHAR',
        'statusDetails': 'VARCHAR', 'callbackInfo': 'JSON', 'callTags': 'JSON',
        'mapVisits': 'JSON', 'comments': 'JSON', 'phrases': 'JSON', 'orders': 'JSON',
        'yandexDirect': 'JSON', 'googleAdWords': 'JSON',
    },
}) }}
{%- endmacro %}

{% macro duckdb__loaded(lead) %}
    {%- set types = loaded_types() %}
    select * exclude (line, latest)
    from (
        select *, max(line) over (partition by "siteId", "{{ lead }}Id") as latest
        from (
            select *, row_number() over () as line
            from read_json(
                '{{ env_var("CALLTOUCH_JSONL") }}/{{ lead }}s*.jsonl',
                format = 'newline_delimited', columns = {{ types[lead] }},
                maximum_object_size = 67108864
            )
        ) as numbered
    ) as marked
    where line = latest
{% endmacro %}

{#- target-clickhouse names columns in lower case, and writes instants in UTC, whatever zone the column
    has. A row that was loaded again counts once: FINAL. -#}
{% macro clickhouse__loaded(lead) %}
    select
        {%- for name, type in loaded_types()[lead].items() %}
        {%- set column = 'loaded."' ~ name | lower ~ '"' %}
        {%- if type == 'TIMESTAMP' %}
        toDateTime64(toString({{ column }}), 3, 'UTC')
        {%- elif type == 'JSON' %}
        ifNull({{ column }}, '')
        {%- else %}
        {{ column }}
        {%- endif %} as "{{ name }}"{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ source('calltouch', lead ~ 's') }} as loaded final
{% endmacro %}

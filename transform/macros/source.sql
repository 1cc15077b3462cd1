{#- The loaded requests or calls, one row each, with the columns that the models read. A column that was
    not loaded is null, so that a deselected one breaks nothing. -#}

{% macro loaded(lead) %}{{ adapter.dispatch('loaded', 'calltouch')(lead) }}{% endmacro %}

{#- The columns that the models read, by the name of the lead. -#}
{% macro loaded_types() -%}
{{ return({
    'request': {
        'siteId': 'BIGINT', 'requestId': 'BIGINT', 'date': 'TIMESTAMP', 'dateStr': 'VARCHAR',
        'requestNumber': 'VARCHAR', 'subject': 'VARCHAR', 'requestUrl': 'VARCHAR', 'hostname': 'VARCHAR',
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

{#- The types of the columns of the table that was loaded, by their names. -#}
{% macro types_in_database(lead) -%}
    {%- set types = {} -%}
    {%- for column in adapter.get_columns_in_relation(source('calltouch', lead ~ 's')) if execute -%}
        {%- do types.update({column.name: column.dtype}) -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro %}

{#- The target and its settings decide whether objects and arrays are jsonb, jsonb[] or JSON texts. -#}
{% macro default__loaded(lead) %}
    {%- set found = types_in_database(lead) %}
    {%- set texts = [] %}
    select
        {%- for name, type in loaded_types()[lead].items() %}
        {%- set column = 'loaded."' ~ name ~ '"' %}
        {%- if name not in found %}
        cast(null as {{ 'jsonb' if type == 'JSON' else type }})
        {%- elif type != 'JSON' or found[name] == 'jsonb' %}
        {{ column }}
        {%- elif found[name] == 'ARRAY' %}
        to_jsonb({{ column }})
        {%- else %}
        {%- do texts.append(name) %}
        cast(nullif({{ column }}, 'null') as jsonb)
        {%- endif %} as "{{ name }}"{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ source('calltouch', lead ~ 's') }} as loaded
    {#- Otherwise PostgreSQL would parse a text once for each of the fields that a model takes of it. #}
    {{ 'offset 0' if texts }}
{% endmacro %}

{#- On DuckDB, files of JSON lines are read, to which every run adds, so that the last line of a request
    or call is the one that counts. -#}
{% macro duckdb__loaded(lead) %}
    select * exclude (line, latest)
    from (
        select *, max(line) over (partition by "siteId", "{{ lead }}Id") as latest
        from (
            select *, row_number() over () as line
            from read_json(
                {{ loaded_files(lead) }},
                format = 'newline_delimited', columns = {{ loaded_types()[lead] }},
                maximum_object_size = 67108864
            )
        ) as numbered
    ) as marked
    where line = latest
{% endmacro %}

{#- The files of target-jsonl, or BATCH files, which stand in one folder or in one for each run. They are
    listed as they were written: by folder, then by time, since names of BATCH files are random. -#}
{% macro loaded_files(lead) -%}
    {%- set files = [] -%}
    {%- set patterns = [] -%}
    {%- set batches = '*--' ~ lead ~ 's-*.json' -%}
    {%- for name in [lead ~ 's*.jsonl', batches, batches ~ '.gz', '*/' ~ batches, '*/' ~ batches ~ '.gz'] -%}
        {%- do patterns.append(env_var('CALLTOUCH_JSONL') ~ '/' ~ name) -%}
    {%- endfor -%}
    {%- if execute -%}
        {%- set found = run_query('select file from glob(' ~ sql_list(patterns) ~ ')').columns[0].values() -%}
        {%- if found -%}
            {%- set listed = run_query(
                'select filename from read_blob(' ~ sql_list(found) ~ ') '
                'order by parse_dirpath(filename), last_modified, filename'
            ) -%}
            {%- do files.extend(listed.columns[0].values()) -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(sql_list(files or patterns[:1])) }}
{%- endmacro %}

{% macro sql_list(texts) -%}
    {%- set quoted = [] -%}
    {%- for text in texts -%}
        {%- do quoted.append("'" ~ text | replace("'", "''") ~ "'") -%}
    {%- endfor -%}
    {{ return('[' ~ quoted | join(', ') ~ ']') }}
{%- endmacro %}

{#- target-clickhouse names columns in lower case, and writes instants in UTC, whatever zone the column
    has. A row that was loaded again counts once: FINAL. -#}
{% macro clickhouse__loaded(lead) %}
    {%- set found = types_in_database(lead) %}
    select
        {%- for name, type in loaded_types()[lead].items() %}
        {%- set column = 'loaded."' ~ name | lower ~ '"' %}
        {%- if name | lower not in found %}
        {{ "''" if type == 'JSON' else 'cast(null as Nullable(' ~ type ~ '))' }}
        {%- elif type == 'TIMESTAMP' %}
        toDateTime64(toString({{ column }}), 3, 'UTC')
        {%- elif type == 'JSON' %}
        ifNull({{ column }}, '')
        {%- else %}
        {{ column }}
        {%- endif %} as "{{ name }}"{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ source('calltouch', lead ~ 's') }} as loaded final
{% endmacro %}

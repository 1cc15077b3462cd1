{#- The loaded requests, one row each. On DuckDB they are read from files of JSON lines, to which
    every run appends, so that the last line of a request is the one that counts. -#}

{% macro loaded_requests() %}{{ adapter.dispatch('loaded_requests', 'calltouch')() }}{% endmacro %}

{% macro default__loaded_requests() %}
    select * from {{ source('calltouch', 'requests') }}
{% endmacro %}

{% macro duckdb__loaded_requests() %}
    {%- set types = {
        'siteId': 'BIGINT', 'requestId': 'BIGINT', 'date': 'TIMESTAMP', 'dateStr': 'VARCHAR',
        'requestNumber': 'VARCHAR', 'subject': 'VARCHAR', 'requestUrl': 'VARCHAR',
        'manager': 'VARCHAR', 'uniqueRequest': 'BOOLEAN', 'targetRequest': 'BOOLEAN',
        'uniqTargetRequest': 'BOOLEAN', 'session': 'JSON', 'client': 'JSON',
        'ctClientId': 'BIGINT', 'ctGlobalId': 'VARCHAR', 'comments': 'JSON', 'orders': 'JSON',
        'RequestTags': 'JSON', 'mapVisits': 'JSON', 'yandexDirect': 'JSON',
        'googleAdWords': 'JSON', 'requestType': 'VARCHAR', 'status': 'VARCHAR',
    } %}
    select * exclude (line, latest)
    from (
        select *, max(line) over (partition by "siteId", "requestId") as latest
        from (
            select *, row_number() over () as line
            from read_json(
                '{{ env_var("CALLTOUCH_JSONL") }}', format = 'newline_delimited', columns = {{ types }},
                maximum_object_size = 67108864
            )
        ) as numbered
    ) as marked
    where line = latest
{% endmacro %}

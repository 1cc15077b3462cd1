{#- A text, null where it only says that nothing is known. -#}
{% macro known(text) -%}
    case when trim({{ text }}) not in (
        {%- for placeholder in var('calltouch_placeholders') -%}
            '{{ placeholder }}'{{ ', ' if not loop.last }}
        {%- endfor -%}
    ) then {{ text }} end
{%- endmacro %}

{% macro known_field(object, name) %}{{ known(field(object, name)) }}{% endmacro %}

{#- `2800.0000` -#}
{% macro money(text) %}{{ adapter.dispatch('money', 'calltouch')(text) }}{% endmacro %}
{% macro default__money(text) -%}
    case when {{ text }} ~ '^-?[0-9]{1,14}([.][0-9]+)?$' then cast({{ text }} as decimal(18, 4)) end
{%- endmacro %}
{% macro clickhouse__money(text) -%}
    toDecimal64OrNull(
        case when match({{ text }}, '^-?[0-9]{1,14}([.][0-9]+)?$') then {{ text }} end, 4
    )
{%- endmacro %}

{#- `21/02/2024 20:14:28`, a wall time without a zone -#}
{% macro wall_time(text) %}{{ adapter.dispatch('wall_time', 'calltouch')(text) }}{% endmacro %}
{% macro default__wall_time(text) -%}
    case when {{ text }} ~ '^[0-9]{2}/[0-9]{2}/[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}$' then cast(
        substr({{ text }}, 7, 4) || '-' || substr({{ text }}, 4, 2) || '-' || substr({{ text }}, 1, 2)
        || substr({{ text }}, 11) as timestamp
    ) end
{%- endmacro %}
{% macro clickhouse__wall_time(text) -%}
    parseDateTimeOrNull({{ text }}, '%d/%m/%Y %H:%i:%s', 'UTC')
{%- endmacro %}

{#- `21.02.2024` -#}
{% macro day(text) %}{{ adapter.dispatch('day', 'calltouch')(text) }}{% endmacro %}
{% macro default__day(text) -%}
    case when {{ text }} ~ '^[0-9]{2}[.][0-9]{2}[.][0-9]{4}$' then cast(
        substr({{ text }}, 7, 4) || '-' || substr({{ text }}, 4, 2) || '-' || substr({{ text }}, 1, 2)
        as date
    ) end
{%- endmacro %}
{% macro clickhouse__day(text) -%}
    toDate(parseDateTimeOrNull({{ text }}, '%d.%m.%Y', 'UTC'))
{%- endmacro %}

{#- `MM:SS` as seconds -#}
{% macro seconds(text) %}{{ adapter.dispatch('seconds', 'calltouch')(text) }}{% endmacro %}
{% macro default__seconds(text) -%}
    case when {{ text }} ~ '^[0-9]{1,4}:[0-9]{2}$' then
        60 * cast(substr({{ text }}, 1, length({{ text }}) - 3) as integer)
        + cast(substr({{ text }}, length({{ text }}) - 1) as integer)
    end
{%- endmacro %}
{% macro clickhouse__seconds(text) -%}
    case when match({{ text }}, '^[0-9]{1,4}:[0-9]{2}$') then
        60 * toInt32OrNull(substring({{ text }}, 1, length({{ text }}) - 3))
        + toInt32OrNull(substring({{ text }}, length({{ text }}) - 1))
    end
{%- endmacro %}

{#- An instant as the tap writes it within JSON, RFC 3339 in UTC, as a timestamp in UTC. -#}
{% macro utc(text) %}{{ adapter.dispatch('utc', 'calltouch')(text) }}{% endmacro %}
{% macro default__utc(text) %}cast(substr({{ text }}, 1, 23) as timestamp){% endmacro %}
{% macro clickhouse__utc(text) -%}
    parseDateTime64BestEffortOrNull({{ text }}, 3, 'UTC')
{%- endmacro %}

{#- Now, as a timestamp in UTC. -#}
{% macro now_in_utc() %}{{ adapter.dispatch('now_in_utc', 'calltouch')() }}{% endmacro %}
{% macro default__now_in_utc() %}cast(current_timestamp at time zone 'UTC' as timestamp){% endmacro %}
{% macro clickhouse__now_in_utc() %}now64(3, 'UTC'){% endmacro %}

{#- A timestamp in UTC as the time of the journal's zone. -#}
{% macro local_time(timestamp) %}{{ adapter.dispatch('local_time', 'calltouch')(timestamp) }}{% endmacro %}
{% macro default__local_time(timestamp) -%}
    cast({{ timestamp }} at time zone 'UTC' at time zone '{{ var("calltouch_timezone") }}' as timestamp)
{%- endmacro %}
{% macro clickhouse__local_time(timestamp) -%}
    {#- The type has a zone and no wall times; UTC stands for none here, as in `wall_time`. -#}
    toDateTime64(toString(toTimeZone({{ timestamp }}, '{{ var("calltouch_timezone") }}')), 3, 'UTC')
{%- endmacro %}

{#- A timestamp in UTC as the day of the journal. -#}
{% macro local_day(timestamp) %}{{ adapter.dispatch('local_day', 'calltouch')(timestamp) }}{% endmacro %}
{% macro default__local_day(timestamp) -%}
    cast({{ timestamp }} at time zone 'UTC' at time zone '{{ var("calltouch_timezone") }}' as date)
{%- endmacro %}
{% macro clickhouse__local_day(timestamp) -%}
    toDate({{ timestamp }}, '{{ var("calltouch_timezone") }}')
{%- endmacro %}

{#- One text that stands for a request or a call of a site, or for a part of it. -#}
{% macro key_of(columns) -%}
    {%- for column in columns -%}
        cast({{ column }} as varchar){{ " || '-' || " if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- Where a visit came from: the same fields in sessions and visits. -#}
{% macro traffic(visit, keywords) %}
    {%- for name, column in [
        ('source', 'source'), ('medium', 'medium'), ('utmSource', 'utm_source'),
        ('utmMedium', 'utm_medium'), ('utmCampaign', 'utm_campaign'),
        ('utmContent', 'utm_content'), ('utmTerm', 'utm_term'), (keywords, 'keywords'),
        ('url', 'entry_url'), ('ref', 'referrer'), ('city', 'city'), ('ip', 'ip'),
        ('guaClientId', 'google_client_id'),
    ] %}
    {{ known_field(visit, name) }} as {{ column }},
    {%- endfor %}
{%- endmacro %}

{#- Whether a whole text is what a regular expression describes. -#}
{% macro matches(text, pattern) %}{{ adapter.dispatch('matches', 'calltouch')(text, pattern) }}{% endmacro %}
{% macro default__matches(text, pattern) %}{{ text }} ~ '^(?:{{ pattern }})$'{% endmacro %}
{% macro clickhouse__matches(text, pattern) %}match({{ text }}, '^(?:{{ pattern }})$'){% endmacro %}

{% macro lower_case(text) %}{{ adapter.dispatch('lower_case', 'calltouch')(text) }}{% endmacro %}
{% macro default__lower_case(text) %}lower({{ text }}){% endmacro %}
{% macro clickhouse__lower_case(text) %}lowerUTF8({{ text }}){% endmacro %}

{#- The domain in an address of a page. -#}
{% macro domain_of(url) -%}
    {%- set pattern = '^[a-z]+://([^/:?#]+)' -%}
    {{ adapter.dispatch('domain_of', 'calltouch')(lower_case(url), pattern) }}
{%- endmacro %}
{% macro default__domain_of(url, pattern) %}substring({{ url }} from '{{ pattern }}'){% endmacro %}
{% macro duckdb__domain_of(url, pattern) %}nullif(regexp_extract({{ url }}, '{{ pattern }}', 1), ''){% endmacro %}
{% macro clickhouse__domain_of(url, pattern) %}nullIf(extract({{ url }}, '{{ pattern }}'), ''){% endmacro %}

{#- The seconds since 1970 of a timestamp in UTC. -#}
{% macro epoch_seconds(timestamp) %}{{ adapter.dispatch('epoch_seconds', 'calltouch')(timestamp) }}{% endmacro %}
{% macro default__epoch_seconds(timestamp) %}cast(floor(extract(epoch from {{ timestamp }})) as bigint){% endmacro %}
{% macro clickhouse__epoch_seconds(timestamp) %}toUnixTimestamp({{ timestamp }}){% endmacro %}

{#- How many days one day is after another. -#}
{% macro days_between(first, last) %}{{ adapter.dispatch('days_between', 'calltouch')(first, last) }}{% endmacro %}
{% macro default__days_between(first, last) %}cast({{ last }} - {{ first }} as bigint){% endmacro %}
{% macro clickhouse__days_between(first, last) %}dateDiff('day', {{ first }}, {{ last }}){% endmacro %}

{#- Nothing, in the place of a value of a type. -#}
{% macro null_of(type) %}{{ adapter.dispatch('null_of', 'calltouch')(type) }}{% endmacro %}
{% macro default__null_of(type) %}cast(null as {{ type }}){% endmacro %}
{% macro clickhouse__null_of(type) %}cast(null as Nullable({{ type }})){% endmacro %}

{#- Some texts as SQL. -#}
{% macro texts(values) -%}
    {%- for value in values %}'{{ value | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor -%}
{%- endmacro %}

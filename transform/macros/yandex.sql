{#- What the files for Yandex have in common: which leads are in them, and how values look. -#}

{#- The day on which a file is made, in the journal's zone. -#}
{% macro today() -%}
    {%- if var('calltouch_today') -%}
    cast('{{ var("calltouch_today") }}' as date)
    {%- else -%}
    {{ local_day(now_in_utc()) }}
    {%- endif -%}
{%- endmacro %}

{#- Whether a lead is one for Metrica: known to it, of a whole day, not too old, and not sent before. -#}
{% macro is_for_metrica(lead) -%}
    {{ matches(lead ~ '.yandex_client_id', '[0-9]{1,20}') }}
    and {{ lead }}.created_on < {{ today() }}
    and {{ lead }}.created_on >= {{ today() }} - {{ var('calltouch_metrica_days') }}
    {%- if var('calltouch_new_since') %}
    and {{ lead }}.created_on >= cast('{{ var("calltouch_new_since") }}' as date)
    {%- endif %}
{%- endmacro %}

{#- A value that only a lead with orders has. -#}
{% macro if_ordered(lead, value) %}case when {{ lead }}.orders > 0 then {{ value }} end{% endmacro %}

{#- Whether a lead is one of those that count as conversions. -#}
{% macro is_conversion(lead) -%}
    {%- set conditions = {
        'all': 'true', 'target': lead ~ '.is_target', 'unique_target': lead ~ '.is_unique_target',
    } -%}
    {{ conditions[var('calltouch_metrica_leads')] }}
{%- endmacro %}

{#- A wall time as `2024-02-21 20:14:28`. -#}
{% macro time_text(timestamp) %}{{ adapter.dispatch('time_text', 'calltouch')(timestamp) }}{% endmacro %}
{% macro default__time_text(timestamp) %}to_char({{ timestamp }}, 'YYYY-MM-DD HH24:MI:SS'){% endmacro %}
{% macro duckdb__time_text(timestamp) %}strftime({{ timestamp }}, '%Y-%m-%d %H:%M:%S'){% endmacro %}
{% macro clickhouse__time_text(timestamp) %}formatDateTime({{ timestamp }}, '%Y-%m-%d %H:%i:%S'){% endmacro %}

{#- The items of a list as one text; null if there are none. -#}
{% macro list_text(list) %}nullif({{ adapter.dispatch('list_text', 'calltouch')(list) }}, ''){% endmacro %}
{% macro default__list_text(list) %}array_to_string({{ list }}, ', '){% endmacro %}
{% macro clickhouse__list_text(list) %}arrayStringConcat({{ list }}, ', '){% endmacro %}

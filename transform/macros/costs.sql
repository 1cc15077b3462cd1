{#- The table of costs of a project, if it has one: a seed or a model by its name, or a source by its own
    and that of its table, with a dot between. -#}

{% macro has_costs() %}{{ return(var('calltouch_costs') is not none) }}{% endmacro %}

{% macro costs() -%}
    {%- set name = (var('calltouch_costs') or '').split('.') -%}
    {{ ref(name[0]) if name | length == 1 else source(name[0], name[1]) }}
{%- endmacro %}

{#- The share of one of some leads in a whole number, such as clicks. The shares of all make the number. -#}
{% macro share_of(whole, number, leads) -%}
    {{ whole_part(whole ~ ' * ' ~ number, leads) }} - {{ whole_part(whole ~ ' * (' ~ number ~ ' - 1)', leads) }}
{%- endmacro %}

{% macro whole_part(dividend, divisor) %}{{ adapter.dispatch('whole_part', 'calltouch')(dividend, divisor) }}{% endmacro %}
{% macro default__whole_part(dividend, divisor) %}({{ dividend }}) / {{ divisor }}{% endmacro %}
{% macro duckdb__whole_part(dividend, divisor) %}({{ dividend }}) // {{ divisor }}{% endmacro %}
{% macro clickhouse__whole_part(dividend, divisor) %}intDiv({{ dividend }}, {{ divisor }}){% endmacro %}

{#- A number of any type as one with four decimal places. -#}
{% macro decimal_of(number) %}{{ adapter.dispatch('decimal_of', 'calltouch')(number) }}{% endmacro %}
{% macro default__decimal_of(number) %}cast(coalesce({{ number }}, 0) as decimal(18, 4)){% endmacro %}
{% macro clickhouse__decimal_of(number) -%}
    {#- From a float it would cut instead of round. #}
    toDecimal64(toString(coalesce({{ number }}, 0)), 4)
{%- endmacro %}

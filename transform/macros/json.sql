{#- A value of a JSON object as text. -#}
{% macro field(object, name) %}({{ object }} ->> '{{ name }}'){% endmacro %}

{#- A value of a JSON object as JSON. -#}
{% macro object_field(object, name) %}({{ object }} -> '{{ name }}'){% endmacro %}

{#- An integer of a JSON object; the tap lets none through that is not one of 64 bits. -#}
{% macro integer_field(object, name) %}cast({{ field(object, name) }} as bigint){% endmacro %}

{#- A JSON text as text, without its quotes. -#}
{% macro text_of(value) %}{{ adapter.dispatch('text_of', 'calltouch')(value) }}{% endmacro %}
{% macro default__text_of(value) %}({{ value }} #>> '{}'){% endmacro %}
{% macro duckdb__text_of(value) %}({{ value }} ->> '$'){% endmacro %}

{#- The items of a JSON array, as a table `item` with the columns `value` and `position` from 1. -#}
{% macro items_of(array) %}{{ adapter.dispatch('items_of', 'calltouch')(array) }}{% endmacro %}

{% macro default__items_of(array) -%}
    lateral (
        {#- target-postgres makes jsonb[] of an array, other versions jsonb. -#}
        {%- set whole = "to_jsonb(" ~ array ~ ")" %}
        select element.value, element.position
        from jsonb_array_elements(
            case when jsonb_typeof({{ whole }}) = 'array' then {{ whole }} end
        ) with ordinality as element (value, position)
        where jsonb_typeof(element.value) <> 'null'
    ) as item
{%- endmacro %}

{% macro duckdb__items_of(array) -%}
    lateral (
        select element.value, element.position
        from unnest(
            case when json_type({{ array }}) = 'ARRAY' then cast({{ array }} as json[]) end
        ) with ordinality as element (value, position)
        where json_type(element.value) <> 'NULL'
    ) as item
{%- endmacro %}

{#- The rows of a table, each as often as an array of it has items. -#}
{% macro from_items(table, alias, array) -%}
    {{ adapter.dispatch('from_items', 'calltouch')(table, alias, array) }}
{%- endmacro %}

{% macro default__from_items(table, alias, array) -%}
from {{ table }} as {{ alias }}
cross join {{ items_of(array) }}
{%- endmacro %}

{#- The rows of a table, each as often as a text of it has parts between commas: a table `part` with
    the columns `name` and `position` from 1. -#}
{% macro from_split(table, text) %}{{ adapter.dispatch('from_split', 'calltouch')(table, text) }}{% endmacro %}

{% macro default__from_split(table, text) -%}
from {{ table }}
cross join lateral unnest(string_to_array({{ text }}, ',')) with ordinality
    as part (name, position)
{%- endmacro %}

{#- The different values of a group as a sorted list. -#}
{% macro list_of(value) %}{{ adapter.dispatch('list_of', 'calltouch')(value) }}{% endmacro %}
{% macro default__list_of(value) %}array_agg(distinct {{ value }} order by {{ value }}){% endmacro %}

{#- A value of a JSON object as text. -#}
{% macro field(object, name) %}({{ object }} ->> '{{ name }}'){% endmacro %}

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

{#- A value of a JSON object as text. -#}
{% macro field(object, name) %}{{ adapter.dispatch('field', 'calltouch')(object, name) }}{% endmacro %}
{% macro default__field(object, name) %}({{ object }} ->> '{{ name }}'){% endmacro %}
{% macro clickhouse__field(object, name) -%}
    JSONExtract({{ object }}, '{{ name }}', 'Nullable(String)')
{%- endmacro %}

{#- A value of a JSON object as JSON. -#}
{% macro object_field(object, name) -%}
    {{ adapter.dispatch('object_field', 'calltouch')(object, name) }}
{%- endmacro %}
{% macro default__object_field(object, name) %}({{ object }} -> '{{ name }}'){% endmacro %}
{% macro clickhouse__object_field(object, name) %}JSONExtractRaw({{ object }}, '{{ name }}'){% endmacro %}

{#- An integer of a JSON object; the tap lets none through that is not one of 64 bits. -#}
{% macro integer_field(object, name) -%}
    {{ adapter.dispatch('integer_field', 'calltouch')(object, name) }}
{%- endmacro %}
{% macro default__integer_field(object, name) %}cast({{ field(object, name) }} as bigint){% endmacro %}
{% macro clickhouse__integer_field(object, name) -%}
    JSONExtract({{ object }}, '{{ name }}', 'Nullable(Int64)')
{%- endmacro %}

{#- A JSON text as text, without its quotes. -#}
{% macro text_of(value) %}{{ adapter.dispatch('text_of', 'calltouch')(value) }}{% endmacro %}
{% macro default__text_of(value) %}({{ value }} #>> '{}'){% endmacro %}
{% macro duckdb__text_of(value) %}({{ value }} ->> '$'){% endmacro %}
{% macro clickhouse__text_of(value) %}JSONExtract({{ value }}, 'Nullable(String)'){% endmacro %}

{#- The items of a JSON array, as a table `item` with the columns `value` and `position` from 1. -#}
{% macro items_of(array) %}{{ adapter.dispatch('items_of', 'calltouch')(array) }}{% endmacro %}

{% macro default__items_of(array) -%}
    lateral (
        select element.value, element.position
        from jsonb_array_elements(
            case when jsonb_typeof({{ array }}) = 'array' then {{ array }} end
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

{% macro clickhouse__from_items(table, alias, array) -%}
{%- set values = "JSONExtractArrayRaw(" ~ array ~ ")" -%}
from {{ table }} as {{ alias }}
array join arrayFilter(
    element -> element.value <> 'null', {{ numbered('value', values) }}
) as item
{%- endmacro %}

{#- An array of ClickHouse as one of tuples of a value and its position from 1. -#}
{% macro numbered(name, array) -%}
    arrayMap(
        (value, position) -> cast((value, position), 'Tuple({{ name }} String, position Int64)'),
        {{ array }}, arrayEnumerate({{ array }})
    )
{%- endmacro %}

{#- The rows of a table, each as often as a text of it has parts between commas: a table `part` with
    the columns `name` and `position` from 1. -#}
{% macro from_split(table, text) %}{{ adapter.dispatch('from_split', 'calltouch')(table, text) }}{% endmacro %}

{% macro default__from_split(table, text) -%}
from {{ table }}
cross join lateral unnest(string_to_array({{ text }}, ',')) with ordinality
    as part (name, position)
{%- endmacro %}

{% macro clickhouse__from_split(table, text) -%}
from {{ table }}
array join {{ numbered('name', "splitByChar(',', ifNull(" ~ text ~ ", ''))") }} as part
{%- endmacro %}

{#- Whether a value is a JSON array, and whether it is one that has items. -#}
{% macro is_array(value) %}{{ adapter.dispatch('is_array', 'calltouch')(value) }}{% endmacro %}
{% macro default__is_array(value) %}(jsonb_typeof(to_jsonb({{ value }})) = 'array'){% endmacro %}
{% macro duckdb__is_array(value) %}(json_type({{ value }}) = 'ARRAY'){% endmacro %}
{% macro clickhouse__is_array(value) %}(JSONType({{ value }}) = 'Array'){% endmacro %}

{% macro has_items(value) %}{{ adapter.dispatch('has_items', 'calltouch')(value) }}{% endmacro %}
{% macro default__has_items(value) -%}
    (case when {{ is_array(value) }} then jsonb_array_length(to_jsonb({{ value }})) end > 0)
{%- endmacro %}
{% macro duckdb__has_items(value) %}(json_array_length({{ value }}) > 0){% endmacro %}
{% macro clickhouse__has_items(value) %}(length(JSONExtractArrayRaw({{ value }})) > 0){% endmacro %}

{#- The different values of a group, or of those of its rows for which a condition holds, as a sorted
    list. -#}
{% macro list_of(value, condition='true') -%}
    {{ adapter.dispatch('list_of', 'calltouch')(value, condition) }}
{%- endmacro %}
{% macro default__list_of(value, condition) -%}
    array_agg(distinct {{ value }} order by {{ value }}) filter (where {{ condition }})
{%- endmacro %}
{% macro clickhouse__list_of(value, condition) %}arraySort(groupUniqArrayIf({{ value }}, {{ condition }})){% endmacro %}

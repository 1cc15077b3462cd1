{#- Telephone numbers and addresses, as Yandex wants them before they are hashed. -#}

{#- A telephone number as digits with the code of its country; null if a text is none, such as
    `anonymous` or an address of a telephone system. -#}
{% macro phone_number(text) -%}
    {%- set digits = digits_of(text) -%}
    case
        when not ({{ matches(text, '[-+0-9(). ]+') }}) then null
        when length({{ digits }}) = 10 then '7' || {{ digits }}
        when length({{ digits }}) = 11 and substr({{ digits }}, 1, 1) = '8' then '7' || substr({{ digits }}, 2)
        when length({{ digits }}) between 11 and 15 then {{ digits }}
    end
{%- endmacro %}

{% macro digits_of(text) %}{{ adapter.dispatch('digits_of', 'calltouch')(text) }}{% endmacro %}
{% macro default__digits_of(text) %}regexp_replace({{ text }}, '[^0-9]', '', 'g'){% endmacro %}
{% macro clickhouse__digits_of(text) %}replaceRegexpAll({{ text }}, '[^0-9]', ''){% endmacro %}

{#- An e-mail address in lower case; null if a text is none. -#}
{% macro email_address(text) -%}
    case when {{ matches('trim(' ~ text ~ ')', '[^@ ]+@[^@ ]+[.][^@ ]+') }} then {{ lower_case('trim(' ~ text ~ ')') }} end
{%- endmacro %}

{#- What stands for a number or an address that was hashed before it was loaded; null if a text is no
    hash in hexadecimal digits. -#}
{% macro contact_hash(text) -%}
    case when {{ matches(text, '[0-9a-fA-F]{32,128}') }} then lower({{ text }}) end
{%- endmacro %}

{#- The MD5 of a text, as 32 hexadecimal digits in lower case. -#}
{% macro md5_of(text) %}{{ adapter.dispatch('md5_of', 'calltouch')(text) }}{% endmacro %}
{% macro default__md5_of(text) %}md5({{ text }}){% endmacro %}
{% macro clickhouse__md5_of(text) %}lower(hex(MD5({{ text }}))){% endmacro %}

{#- A column of the marts that says who somebody is. -#}
{% macro personal(expression) -%}
    {{ expression if var('calltouch_personal_data') else null_of(dbt.type_string()) }}
{%- endmacro %}

{#- An address of a page, in whose query string a form may have put what a visitor typed. -#}
{% macro personal_url(url) -%}
    {{ url if var('calltouch_personal_data') else adapter.dispatch('without_query', 'calltouch')(url) }}
{%- endmacro %}
{% macro default__without_query(url) %}split_part(split_part({{ url }}, '?', 1), '#', 1){% endmacro %}
{% macro clickhouse__without_query(url) %}cutQueryStringAndFragment({{ url }}){% endmacro %}

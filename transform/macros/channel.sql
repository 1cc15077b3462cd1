{#- The channel of a visit or a lead, in one word. A project has rules of its own when it defines
    `default__channel` and puts itself before `calltouch` in the `dispatch` of its dbt_project.yml.

    `source` and the others are SQL; `is_offline` is a condition that holds for calls without a visit. -#}
{% macro channel(source, medium, utm_source, utm_medium, is_offline='false') -%}
    {{ adapter.dispatch('channel', 'calltouch')(source, medium, utm_source, utm_medium, is_offline) }}
{%- endmacro %}

{% macro default__channel(source, medium, utm_source, utm_medium, is_offline) -%}
    {%- set sources = [source, utm_source] -%}
    {%- set media = [medium, utm_medium] -%}
    case
        when {{ any_matches(media, 'cpc|ppc|cpm|cpa|cpv|cpl|paid.*|.*display.*|banner|retargeting|ads?|context') }} then 'cpc'
        when {{ any_matches(media, 'e-?mail|newsletter|mail|[Рр]ассылка') }}
            or {{ any_matches(sources, 'e-?mail|newsletter|sendpulse|unisender|mindbox|[Рр]ассылка') }} then 'email'
        when {{ any_matches(media, 'maps?|geo') }}
            or {{ any_matches(sources, '.*(2gis|2[Гг][Ии][Сс]|maps|zoon|[Кк]арт[аы]).*') }} then 'maps'
        when {{ any_matches(media, 'social.*|smm') }}
            or {{ any_matches(sources, '(.*[.])?(vk|vkontakte|ok|odnoklassniki|facebook|fb|instagram|youtube|tiktok|telegram|t|dzen|rutube|twitter|whatsapp|viber)([.](com|ru|me|org|net))?|.*([Сс]оцсет|telegram|instagram|vkontakte).*') }} then 'social'
        when {{ any_matches(media, 'organic') }} then 'organic'
        when {{ any_matches(media, 'referral|link') }} then 'referral'
        when {{ any_matches(media, 'offline') }} or {{ is_offline }} then 'offline'
        when {{ any_matches(sources, '[(]?direct[)]?|[Пп]рям(ой|ые).*') }} then 'direct'
        else 'unknown'
    end
{%- endmacro %}

{#- Whether one of some texts, in lower case, is what a regular expression describes. -#}
{% macro any_matches(texts, pattern) -%}
    ({% for text in texts %}{{ matches("lower(coalesce(" ~ text ~ ", ''))", pattern) }}{{ ' or ' if not loop.last }}{% endfor %})
{%- endmacro %}

{#- A city or a device by the one name that a variable gives to its other spellings. -#}
{% macro one_name(text, names) -%}
    {%- if names -%}
    case {{ lower_case(text) }}
        {%- for spelling, name in names.items() %}
        when '{{ spelling }}' then '{{ name }}'
        {%- endfor %}
        else {{ text }}
    end
    {%- else -%}
    {{ text }}
    {%- endif -%}
{%- endmacro %}

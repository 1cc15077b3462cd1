{#- Sums and counts over leads that are null, and never 0, where what they are of was not loaded. -#}

{#- The sum of a value over the leads of a kind: 0 if there are none, null if one lead lacks the value. -#}
{% macro known_sum(value, type, kind='true') -%}
    case
        when count(case when {{ kind }} then 1 end) = count(case when {{ kind }} then {{ value }} end)
            then cast(coalesce(sum(case when {{ kind }} then {{ value }} end), 0) as {{ type }})
    end
{%- endmacro %}

{#- How many leads of a kind have a flag: 0 if there are none, null if none of them says yes or no. -#}
{% macro known_count(flag, kind='true') -%}
    case
        when count(case when {{ kind }} then 1 end) = 0 or count(case when {{ kind }} then {{ flag }} end) > 0
            then count(case when {{ kind }} and {{ flag }} then 1 end)
    end
{%- endmacro %}

{#- How much there is of something for each of some things, such as the cost of a lead. -#}
{% macro per(amount, count) -%}
    cast({{ amount }} as double precision) / nullif({{ count }}, 0)
{%- endmacro %}

{#- For how many seconds a call was talked; the journal has negative lengths too. -#}
{% macro talk_seconds(lead) -%}
    case
        when not {{ lead }}.is_answered or {{ lead }}.duration_seconds < 0 then 0
        else {{ lead }}.duration_seconds
    end
{%- endmacro %}

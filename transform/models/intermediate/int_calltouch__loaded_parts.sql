{#- The parts that were asked for and not deselected. Orders of calls are an empty array either way, so
    those of a site were loaded if one call has one. -#}
{%- for journal in var('calltouch_journals') %}
{%- set lead = journal[:-1] %}
select
    record."siteId" as site_id,
    '{{ lead }}' as lead_type,
    max(case when {{ has_items('record."orders"') if lead == 'call' else is_array('record."orders"') }} then 1 else 0 end) = 1
        as has_orders_loaded,
    max(case when {{ is_array('record."mapVisits"') }} then 1 else 0 end) = 1 as has_visits_loaded
from {{ ref('base_calltouch__' ~ journal) }} as record
group by record."siteId"
{{ 'union all' if not loop.last }}
{%- endfor %}

{{ config(enabled=has_costs()) }}
select
    cast(costs.date as date) as day,
    cast(nullif(cast(costs.campaign_id as varchar), '') as bigint) as campaign_id,
    {%- for column in ['utm_source', 'utm_medium', 'utm_campaign'] %}
    nullif(cast(costs.{{ column }} as varchar), '') as {{ column }},
    {%- endfor %}
    cast(coalesce(costs.clicks, 0) as bigint) as clicks,
    {{ decimal_of('costs.cost') }} as cost
from {{ costs() }} as costs

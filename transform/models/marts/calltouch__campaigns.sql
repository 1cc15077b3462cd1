{%- set place = [
    'day', 'site_id', 'channel', 'source', 'medium', 'campaign', 'yandex_direct_campaign_id',
] -%}
{%- set money = 'decimal(18, 4)' -%}
with leads as (
    select
        lead_key,
        created_on as day,
        site_id,
        channel,
        source,
        medium,
        utm_campaign as campaign,
        yandex_direct_campaign_id,
        utm_source,
        utm_medium,
        is_target,
        is_unique_target,
        orders,
        revenue
    from {{ ref('calltouch__leads') }}
),

{%- if has_costs() %}

costs as (
    select
        row_number() over (
            order by costs_of_day.day, costs_of_day.campaign_id, costs_of_day.utm_source,
                costs_of_day.utm_medium, costs_of_day.utm_campaign
        ) as cost_key,
        costs_of_day.*
    from (
        select
            cost.day as day,
            cost.campaign_id as campaign_id,
            cost.utm_source as utm_source,
            cost.utm_medium as utm_medium,
            cost.utm_campaign as utm_campaign,
            cast(sum(cost.clicks) as bigint) as clicks,
            -- In ten-thousandths: whole numbers can be divided so that the parts make the whole.
            cast(sum(cost.cost) * 10000 as bigint) as parts_of_cost
        from {{ ref('base_calltouch__costs') }} as cost
        group by cost.day, cost.campaign_id, cost.utm_source, cost.utm_medium, cost.utm_campaign
    ) as costs_of_day
),

-- The leads of a day that a cost brought: those of the same campaign of Direct or, where one of the two
-- names no such campaign, those with the same utm values.
matches as (
    select costs.cost_key as cost_key, leads.lead_key as lead_key
    from costs
    inner join leads
        on leads.day = costs.day and leads.yandex_direct_campaign_id = costs.campaign_id
    union all
    select costs.cost_key as cost_key, leads.lead_key as lead_key
    from costs
    inner join leads
        on leads.day = costs.day
            and leads.utm_source = costs.utm_source
            and coalesce(leads.utm_medium, '') = coalesce(costs.utm_medium, '')
            and coalesce(leads.campaign, '') = coalesce(costs.utm_campaign, '')
    where leads.yandex_direct_campaign_id is null or costs.campaign_id is null
    union all
    -- A link may carry the id of its campaign in utm_campaign.
    select costs.cost_key as cost_key, leads.lead_key as lead_key
    from costs
    inner join leads
        on leads.day = costs.day and leads.campaign = cast(costs.campaign_id as varchar)
    where leads.yandex_direct_campaign_id is null
),

-- A cost is divided equally among its leads, of whatever site.
numbered_matches as (
    select
        cost_key,
        lead_key,
        row_number() over (partition by cost_key order by lead_key) as number_of_lead,
        count(*) over (partition by cost_key) as leads_of_cost
    from (select distinct cost_key, lead_key from matches) as different_matches
),

only_site as (
    select case when min(leads.site_id) = max(leads.site_id) then min(leads.site_id) end as site_id
    from leads
),

shares as (
    select
        {%- for column in place %}
        leads.{{ column }} as {{ column }},
        {%- endfor %}
        {{ share_of('costs.clicks', 'numbered_matches.number_of_lead', 'numbered_matches.leads_of_cost') }} as clicks,
        {{ share_of('costs.parts_of_cost', 'numbered_matches.number_of_lead', 'numbered_matches.leads_of_cost') }} as parts_of_cost
    from numbered_matches
    inner join costs on costs.cost_key = numbered_matches.cost_key
    inner join leads on leads.lead_key = numbered_matches.lead_key
    union all
    select
        costs.day as day,
        only_site.site_id as site_id,
        case
            when costs.campaign_id is not null then 'cpc'
            else {{ channel('costs.utm_source', 'costs.utm_medium', 'costs.utm_source', 'costs.utm_medium') }}
        end as channel,
        costs.utm_source as source,
        costs.utm_medium as medium,
        costs.utm_campaign as campaign,
        costs.campaign_id as yandex_direct_campaign_id,
        costs.clicks as clicks,
        costs.parts_of_cost as parts_of_cost
    from costs
    cross join only_site
    where costs.cost_key not in (select cost_key from matches)
),
{%- endif %}

measures as (
    select
        {%- for column in place %}
        leads.{{ column }} as {{ column }},
        {%- endfor %}
        count(*) as leads,
        {{ known_count('leads.is_target') }} as target_leads,
        {{ known_count('leads.is_unique_target') }} as unique_target_leads,
        {{ known_sum('leads.orders', 'bigint') }} as orders,
        {{ known_sum('leads.revenue', money) }} as revenue,
        {{ null_of('bigint') }} as clicks,
        {{ null_of(money) }} as cost
    from leads
    group by {% for column in place %}leads.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
    {%- if has_costs() %}
    union all
    select
        {%- for column in place %}
        shares.{{ column }} as {{ column }},
        {%- endfor %}
        0 as leads,
        0 as target_leads,
        0 as unique_target_leads,
        0 as orders,
        0 as revenue,
        cast(sum(shares.clicks) as bigint) as clicks,
        cast(cast(sum(shares.parts_of_cost) as {{ money }}) / 10000 as {{ money }}) as cost
    from shares
    group by {% for column in place %}shares.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
    {%- endif %}
),

campaigns as (
    select
        {%- for column in place %}
        measures.{{ column }} as {{ column }},
        {%- endfor %}
        cast(sum(measures.leads) as bigint) as leads,
        {%- for column, type in {
            'target_leads': 'bigint', 'unique_target_leads': 'bigint', 'orders': 'bigint', 'revenue': money,
        }.items() %}
        case when count(*) = count(measures.{{ column }}) then cast(sum(measures.{{ column }}) as {{ type }}) end
            as {{ column }},
        {%- endfor %}
        cast(sum(measures.clicks) as bigint) as clicks,
        cast(sum(measures.cost) as {{ money }}) as cost
    from measures
    group by {% for column in place %}measures.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
)

select
    campaigns.*,
    {{ per('campaigns.cost', 'campaigns.leads') }} as cost_per_lead,
    {{ per('campaigns.cost', 'campaigns.target_leads') }} as cost_per_target_lead,
    {{ per('campaigns.cost', 'campaigns.orders') }} as cost_per_order,
    {{ per('campaigns.revenue', 'campaigns.cost') }} as return_on_ad_spend
from campaigns

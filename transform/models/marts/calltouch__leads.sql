{%- set shared_columns = [
    'source', 'medium', 'utm_source', 'utm_medium', 'utm_campaign', 'utm_content', 'utm_term',
    'keywords', 'entry_url', 'referrer', 'city', 'device', 'manager', 'visitor_id', 'session_id',
    'is_target', 'is_unique', 'is_unique_target', 'google_client_id', 'yandex_client_id',
    'yandex_direct_campaign_id', 'yandex_direct_ad_group_id', 'yandex_direct_ad_id',
    'yandex_direct_criteria_id', 'google_ads_campaign_id', 'google_ads_ad_group_id',
    'google_ads_creative_id', 'google_ads_criteria_id',
] -%}
{%- set lead_types = [] -%}
{%- for journal in var('calltouch_journals') -%}
    {%- do lead_types.append(journal[:-1]) -%}
{%- endfor -%}

with leads as (
    {%- for lead in lead_types %}
    select
        '{{ lead }}-' || {{ lead }}_key as lead_key,
        '{{ lead }}' as lead_type,
        site_id,
        {{ lead }}_id as lead_id,
        created_at,
        {{ local_time('created_at') }} as created_at_local,
        created_on
        {%- for column in shared_columns -%}
        ,
        {{ column }}
        {%- endfor %}
    from {{ ref('stg_calltouch__' ~ lead ~ 's') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

tags as (
    {%- for lead in lead_types %}
    select '{{ lead }}-' || {{ lead }}_key as lead_key, tag
    from {{ ref('stg_calltouch__' ~ lead ~ '_tags') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

tags_of_leads as (
    select lead_key, {{ list_of('tag') }} as tags
    from tags
    group by lead_key
),

visits as (
    {%- for lead in lead_types %}
    select
        '{{ lead }}-' || visit.{{ lead }}_key as lead_key,
        visit.source,
        visit.medium,
        -- The hour may be that of a 12-hour clock.
        row_number() over (
            partition by visit.{{ lead }}_key
            order by cast(visit.session_at_local as date), visit.visit_number
        ) as place,
        count(*) over (partition by visit.{{ lead }}_key) as visits
    from {{ ref('stg_calltouch__' ~ lead ~ '_visits') }} as visit
    inner join {{ ref('stg_calltouch__' ~ lead ~ 's') }} as {{ lead }}
        on {{ lead }}.{{ lead }}_key = visit.{{ lead }}_key
    -- A lead that is loaded again may list visits after it.
    where visit.session_at_local is null
        or cast(visit.session_at_local as date) <= cast({{ lead }}.created_at_local as date)
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

orders as (
    {%- for lead in lead_types %}
    select
        '{{ lead }}-' || {{ lead }}_key as lead_key,
        site_id,
        coalesce(cast(order_id as varchar), '{{ lead }}-' || {{ lead }}_order_key) as order_key,
        amount
    from {{ ref('stg_calltouch__' ~ lead ~ '_orders') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

linked_orders as (
    select
        orders.lead_key,
        coalesce(
            orders.amount, max(orders.amount) over (partition by orders.site_id, orders.order_key)
        ) as amount,
        -- An order may be linked to several leads. It counts once, for the first of them.
        row_number() over (
            partition by orders.site_id, orders.order_key order by leads.created_at, leads.lead_key
        ) as link_number
    from orders
    inner join leads on leads.lead_key = orders.lead_key
),

orders_of_leads as (
    select lead_key, count(*) as orders, sum(amount) as revenue
    from linked_orders
    where link_number = 1
    group by lead_key
)

select
    {#- ClickHouse puts `leads.` into the names that `leads.*` shares with what is joined. #}
    {%- for column in [
        'lead_key', 'lead_type', 'site_id', 'lead_id', 'created_at', 'created_at_local', 'created_on',
    ] + shared_columns %}
    leads.{{ column }} as {{ column }},
    {%- endfor %}
    tags_of_leads.tags,
    coalesce(last_visit.visits, 0) as visits,
    first_visit.source as first_source,
    first_visit.medium as first_medium,
    last_visit.source as last_source,
    last_visit.medium as last_medium,
    coalesce(orders_of_leads.orders, 0) as orders,
    cast(coalesce(orders_of_leads.revenue, 0) as decimal(18, 4)) as revenue
from leads
left join tags_of_leads on tags_of_leads.lead_key = leads.lead_key
left join visits as first_visit
    on first_visit.lead_key = leads.lead_key and first_visit.place = 1
left join visits as last_visit
    on last_visit.lead_key = leads.lead_key and last_visit.place = last_visit.visits
left join orders_of_leads on orders_of_leads.lead_key = leads.lead_key

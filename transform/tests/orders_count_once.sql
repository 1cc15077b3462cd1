-- The sites whose orders the mart counts more or less than once.
with orders as (
    {%- for journal in var('calltouch_journals') %}
    {%- set lead = journal[:-1] %}
    select
        site_id,
        coalesce(cast(order_id as varchar), '{{ lead }}-' || {{ lead }}_order_key) as order_key
    from {{ ref('stg_calltouch__' ~ lead ~ '_orders') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

counts as (
    select site_id, count(distinct order_key) as in_journals, 0 as in_mart
    from orders
    group by site_id
    union all
    select
        site_id,
        0 as in_journals,
        coalesce(sum(call_orders), 0) + coalesce(sum(request_orders), 0) as in_mart
    from {{ ref('calltouch__leads_by_day') }}
    group by site_id
)

select
    site_id,
    sum(counts.in_journals) as in_journals,
    sum(counts.in_mart) as in_mart
from counts
group by site_id
having sum(counts.in_journals) <> sum(counts.in_mart)

with orders as (
    {%- for journal in var('calltouch_journals') %}
    {%- set lead = journal[:-1] %}
    select
        '{{ lead }}-' || {{ lead }}_key as lead_key,
        site_id,
        coalesce(cast(order_id as varchar), '{{ lead }}-' || {{ lead }}_order_key) as order_key,
        amount,
        {%- if lead == 'call' %}
        cast({{ wall_time('created_date_text') }} as date) as created_on,
        case when completed_date_text is not null then 1 else 0 end as is_paid,
        0 as is_cancelled
        {%- else %}
        {{ local_day('created_at') }} as created_on,
        case when status in ({{ texts(var('calltouch_paid_statuses')) }}) then 1 else 0 end as is_paid,
        case when status in ({{ texts(var('calltouch_cancelled_statuses')) }}) then 1 else 0 end as is_cancelled
        {%- endif %}
    from {{ ref('stg_calltouch__' ~ lead ~ '_orders') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

links as (
    select
        orders.site_id as site_id,
        orders.order_key as order_key,
        orders.lead_key as lead_key,
        coalesce(orders.amount, max(orders.amount) over same_order) as amount,
        min(orders.created_on) over same_order as created_on,
        max(orders.is_paid) over same_order as is_paid,
        max(orders.is_cancelled) over same_order as is_cancelled,
        -- An order may be linked to several leads. It counts once, for the first of them.
        row_number() over (
            partition by orders.site_id, orders.order_key order by leads.created_at, leads.lead_key
        ) as link_number
    from orders
    inner join {{ ref('int_calltouch__leads') }} as leads on leads.lead_key = orders.lead_key
    window same_order as (partition by orders.site_id, orders.order_key)
)

select
    links.site_id as site_id,
    links.order_key as order_key,
    links.lead_key as lead_key,
    links.amount as amount,
    links.created_on as created_on,
    links.is_paid = 1 as is_paid,
    links.is_paid = 0 and links.is_cancelled = 1 as is_cancelled
from links
where links.link_number = 1

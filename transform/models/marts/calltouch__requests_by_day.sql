with orders as (
    select
        request_key,
        amount,
        -- An order may be linked to several requests. It counts once, for the first of them.
        row_number() over (
            partition by site_id, coalesce(cast(order_id as varchar), request_order_key)
            order by request_id, request_order_key
        ) as link_number
    from {{ ref('stg_calltouch__request_orders') }}
),

orders_of_requests as (
    select request_key, count(*) as orders, sum(amount) as revenue
    from orders
    where link_number = 1
    group by request_key
)

select
    requests.site_id,
    requests.created_on as day,
    requests.source,
    requests.medium,
    requests.utm_campaign as campaign,
    count(*) as requests,
    count(case when requests.is_target then 1 end) as target_requests,
    count(case when requests.is_unique then 1 end) as unique_requests,
    cast(coalesce(sum(orders_of_requests.orders), 0) as bigint) as orders,
    cast(coalesce(sum(orders_of_requests.revenue), 0) as decimal(18, 4)) as revenue
from {{ ref('stg_calltouch__requests') }} as requests
left join orders_of_requests on orders_of_requests.request_key = requests.request_key
group by 1, 2, 3, 4, 5

select
    {{ part_key() }} as request_order_key,
    {{ request_key() }} as request_key,
    request."siteId" as site_id,
    request."requestId" as request_id,
    {{ integer_field('item.value', 'orderId') }} as order_id,
    {{ field('item.value', 'orderNumber') }} as order_number,
    {{ utc(field('item.value', 'dateCreated')) }} as created_at,
    {{ known_field('item.value', 'status') }} as status,
    {{ money(field('item.value', 'sum')) }} as amount,
    {{ money(field('item.value', 'realSum')) }} as actual_amount,
    {{ day(field('item.value', 'sent')) }} as sent_on,
    {{ integer_field('item.value', 'callId') }} as call_id,
    {{ known_field('item.value', 'orderComments') }} as order_comments,
    {{ known_field("(item.value -> 'session')", 'source') }} as source,
    {{ known_field("(item.value -> 'session')", 'medium') }} as medium,
    {{ known_field("(item.value -> 'session')", 'utmCampaign') }} as utm_campaign
from {{ ref('base_calltouch__requests') }} as request
cross join {{ items_of('request."orders"') }}

{{ config(enabled='requests' in var('calltouch_journals')) }}
{%- set session = object_field('item.value', 'session') -%}
select
    {{ part_columns('request', 'order') }},
    {{ integer_field('item.value', 'orderId') }} as order_id,
    {{ field('item.value', 'orderNumber') }} as order_number,
    {{ utc(field('item.value', 'dateCreated')) }} as created_at,
    {{ known_field('item.value', 'status') }} as status,
    {{ money(field('item.value', 'sum')) }} as amount,
    {{ money(field('item.value', 'realSum')) }} as actual_amount,
    {{ day(field('item.value', 'sent')) }} as sent_on,
    {{ integer_field('item.value', 'callId') }} as call_id,
    {{ known_field('item.value', 'orderComments') }} as order_comments,
    {{ known_field(session, 'source') }} as source,
    {{ known_field(session, 'medium') }} as medium,
    {{ known_field(session, 'utmCampaign') }} as utm_campaign
{{ from_parts('request', 'orders') }}

{{ config(enabled='calls' in var('calltouch_journals')) }}
select
    {{ part_columns('call', 'order') }},
    {{ integer_field('item.value', 'orderId') }} as order_id,
    {{ field('item.value', 'orderNumber') }} as order_number,
    {#- No answer with an order was seen, so how these dates look is not known. #}
    {{ known_field('item.value', 'orderDate') }} as order_date_text,
    {{ known_field('item.value', 'createdDate') }} as created_date_text,
    {{ known_field('item.value', 'completedDate') }} as completed_date_text,
    {{ money(field('item.value', 'plannedAmount')) }} as planned_amount,
    {{ money(field('item.value', 'completedAmount')) }} as completed_amount,
    {#- What a request calls the sum of an order. #}
    coalesce(
        {{ money(field('item.value', 'plannedAmount')) }},
        {{ money(field('item.value', 'completedAmount')) }}
    ) as amount
{{ from_parts('call', 'orders') }}

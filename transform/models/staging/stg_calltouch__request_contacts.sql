{%- set lists = [
    ('phones', 'phone', 'phoneNumber', 'phoneType'),
    ('contacts', 'contact', 'contactValue', 'contactType'),
] -%}
{% for list, kind, value_field, type_field in lists %}
select
    {{ request_key() }} || '-{{ kind }}-' || cast(item.position as varchar) as request_contact_key,
    {{ request_key() }} as request_key,
    request."siteId" as site_id,
    request."requestId" as request_id,
    {{ integer_field('request."client"', 'clientId') }} as client_id,
    '{{ kind }}' as kind,
    {{ known_field('item.value', type_field) }} as contact_type,
    {{ known_field('item.value', value_field) }} as contact
from {{ ref('base_calltouch__requests') }} as request
cross join {{ items_of("(request.\"client\" -> '" ~ list ~ "')") }}
{% if not loop.last %}union all{% endif %}
{% endfor %}

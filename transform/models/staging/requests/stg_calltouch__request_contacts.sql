{{ config(enabled='requests' in var('calltouch_journals')) }}
{%- set lists = [
    ('phones', 'phone', 'phoneNumber', 'phoneType'),
    ('contacts', 'contact', 'contactValue', 'contactType'),
] -%}
{% for list, kind, value_field, type_field in lists %}
select
    {{ key_of(['record."siteId"', 'record."requestId"', "'" ~ kind ~ "'", 'item.position']) }}
        as request_contact_key,
    {{ lead_columns('request') }},
    {{ integer_field('record."client"', 'clientId') }} as client_id,
    '{{ kind }}' as kind,
    item.position as contact_number,
    {{ known_field('item.value', type_field) }} as contact_type,
    {{ known_field('item.value', value_field) }} as contact
{{ from_items(
    ref('base_calltouch__requests'), 'record', object_field('record."client"', list)
) }}
{% if not loop.last %}union all{% endif %}
{% endfor %}

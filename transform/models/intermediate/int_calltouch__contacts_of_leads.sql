{%- set journals = var('calltouch_journals') -%}
with contacts as (
    {%- if 'calls' in journals %}
    select 'call-' || call_key as lead_key, 'phone' as kind, 1 as place, caller_number as contact
    from {{ ref('stg_calltouch__calls') }}
    union all
    select 'call-' || call_key as lead_key, 'contact' as kind, 1 as place, callback_email as contact
    from {{ ref('stg_calltouch__calls') }}
    {{ 'union all' if 'requests' in journals }}
    {%- endif %}
    {%- if 'requests' in journals %}
    select 'request-' || request_key as lead_key, kind, contact_number as place, contact
    from {{ ref('stg_calltouch__request_contacts') }}
    {%- endif %}
),

read_contacts as (
    select
        lead_key,
        kind,
        place,
        case when kind = 'phone' then {{ phone_number('contact') }} end as phone,
        case when kind = 'contact' then {{ email_address('contact') }} end as email,
        {{ contact_hash('contact') }} as contact_hash
    from contacts
),

{#- A request may have several numbers; the first that is one counts. #}
ranked_contacts as (
    select
        *,
        row_number() over (partition by lead_key, kind order by place) as rank_of_kind
    from read_contacts
    where coalesce(phone, email, contact_hash) is not null
)

select
    contact.lead_key as lead_key,
    max(contact.phone) as phone,
    max(contact.email) as email,
    max(case when contact.kind = 'phone' then coalesce(contact.phone, contact.contact_hash) end) as phone_key,
    max(case when contact.kind = 'contact' then coalesce(contact.email, contact.contact_hash) end) as email_key
from ranked_contacts as contact
where contact.rank_of_kind = 1
group by contact.lead_key

with orders_of_leads as (
    select
        each_order.lead_key as lead_key,
        max(case when each_order.is_paid then 1 else 0 end) as has_paid,
        min(case when each_order.is_cancelled then 1 else 0 end) as all_cancelled
    from {{ ref('int_calltouch__orders') }} as each_order
    group by each_order.lead_key
),

-- Only what Yandex may compare with the hashes of its own: of letters of other scripts nothing is known.
hashed_contacts as (
    select
        contact.lead_key as lead_key,
        case
            when {{ matches('contact.email', '[!-~]+') }} then {{ md5_of('contact.email') }}
            when {{ matches('contact.email_key', '[0-9a-f]{32}') }} then contact.email_key
        end as email_md5,
        case
            when contact.phone is not null then {{ md5_of('contact.phone') }}
            when {{ matches('contact.phone_key', '[0-9a-f]{32}') }} then contact.phone_key
        end as phone_md5
    from {{ ref('int_calltouch__contacts_of_leads') }} as contact
),

leads as (
    select
        each_lead.lead_key as id,
        {{ time_text('each_lead.created_at_local') }} as create_date_time,
        case
            when {{ matches('each_lead.yandex_client_id', '[0-9]{1,20}') }} then each_lead.yandex_client_id
        end as client_ids,
        {{ personal('hashed_contacts.email_md5') }} as emails_md5,
        {{ personal('hashed_contacts.phone_md5') }} as phones_md5,
        case
            when orders_of_leads.has_paid = 1 then 'PAID'
            when orders_of_leads.all_cancelled = 1 then 'CANCELLED'
            else 'IN_PROGRESS'
        end as order_status,
        {{ if_ordered('each_lead', 'each_lead.revenue') }} as revenue,
        {{ if_ordered('each_lead', "'" ~ var('calltouch_currency') ~ "'") }} as currency
    from {{ ref('calltouch__leads') }} as each_lead
    left join hashed_contacts on hashed_contacts.lead_key = each_lead.lead_key
    left join orders_of_leads on orders_of_leads.lead_key = each_lead.lead_key
    where each_lead.created_on <= {{ today() }}
        and each_lead.created_on >= {{ today() }} - {{ var('calltouch_orders_days') }}
)

select
    leads.id as id,
    leads.create_date_time as create_date_time,
    {{ null_of(dbt.type_string()) }} as client_uniq_id,
    leads.client_ids as client_ids,
    leads.emails_md5 as emails_md5,
    leads.phones_md5 as phones_md5,
    leads.order_status as order_status,
    leads.revenue as revenue,
    {{ null_of('decimal(18, 4)') }} as cost,
    {{ null_of(dbt.type_string()) }} as goals,
    leads.currency as currency
from leads
where coalesce(leads.client_ids, leads.emails_md5, leads.phones_md5) is not null

{%- set columns = [
    'lead_key', 'lead_type', 'site_id', 'lead_id', 'created_at', 'created_at_local', 'created_on',
    'source', 'medium', 'utm_source', 'utm_medium', 'utm_campaign', 'utm_content', 'utm_term',
    'keywords', 'entry_url', 'referrer', 'city', 'device', 'manager', 'visitor_id', 'session_id',
    'is_target', 'is_unique', 'is_unique_target', 'google_client_id', 'yandex_client_id',
    'yandex_direct_campaign_id', 'yandex_direct_ad_group_id', 'yandex_direct_ad_id',
    'yandex_direct_criteria_id', 'google_ads_campaign_id', 'google_ads_ad_group_id',
    'google_ads_creative_id', 'google_ads_criteria_id', 'subject', 'is_answered',
    'duration_seconds', 'waiting_seconds', 'dialled_number', 'browser', 'os', 'attribution',
    'session_on', 'page_url',
] -%}
{%- set urls = ['entry_url', 'referrer', 'page_url', 'first_page'] -%}
with leads as (
    select
        all_leads.*,
        {{ local_time('all_leads.created_at') }} as created_at_local,
        contacts.phone as phone,
        contacts.email as email,
        case
            when contacts.phone_key is not null then 'phone'
            when contacts.email_key is not null then 'email'
            when all_leads.visitor_id is not null then 'visitor'
        end as identified_by,
        coalesce(contacts.phone_key, contacts.email_key, cast(all_leads.visitor_id as varchar)) as identity_text
    from {{ ref('int_calltouch__leads') }} as all_leads
    left join {{ ref('int_calltouch__contacts_of_leads') }} as contacts
        on contacts.lead_key = all_leads.lead_key
),

comments as (
    {%- for journal in var('calltouch_journals') %}
    {%- set lead = journal[:-1] %}
    select
        '{{ lead }}-' || {{ lead }}_key as lead_key,
        comment_text,
        row_number() over (partition by {{ lead }}_key order by comment_id) as place
    from {{ ref('stg_calltouch__' ~ lead ~ '_comments') }}
    where trim(comment_text) <> ''
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

orders as (
    select lead_key, count(*) as orders, sum(amount) as revenue
    from {{ ref('int_calltouch__orders') }}
    group by lead_key
)

select
    {#- ClickHouse puts `leads.` into the names that `leads.*` shares with what is joined. #}
    {%- for column in columns %}
    {{ personal_url('leads.' ~ column) if column in urls else 'leads.' ~ column }} as {{ column }},
    {%- endfor %}
    {{ channel('leads.source', 'leads.medium', 'leads.utm_source', 'leads.utm_medium', 'leads.is_offline') }} as channel,
    {{ one_name('leads.city', var('calltouch_city_names')) }} as city_name,
    {{ one_name('leads.device', var('calltouch_device_types')) }} as device_type,
    coalesce({{ lower_case('leads.site_domain') }}, {{ domain_of('leads.page_url') }}, {{ domain_of('leads.entry_url') }})
        as domain,
    {{ personal('leads.phone') }} as phone,
    {{ personal('leads.email') }} as email,
    {{ personal('leads.client_name') }} as name,
    {{ personal('comments.comment_text') }} as first_comment,
    leads.identified_by as identified_by,
    case
        when leads.identified_by is not null
            then first_value(leads.lead_key) over (
                partition by leads.site_id, leads.identified_by, leads.identity_text
                order by leads.created_at, leads.lead_key
            )
    end as person_key,
    tags_of_leads.tags as tags,
    {%- for type in tag_types() %}
    tags_of_leads.{{ tag_column(type) }} as {{ tag_column(type) }},
    {%- endfor %}
    loaded.has_visits_loaded as has_visits_loaded,
    case when loaded.has_visits_loaded then coalesce(visits_of_leads.visits, 0) end as visits,
    {%- for column in [
        'first_source', 'first_medium', 'first_campaign', 'first_term', 'first_page',
        'last_source', 'last_medium',
        'last_non_direct_source', 'last_non_direct_medium', 'last_non_direct_campaign',
    ] %}
    {{ personal_url('visits_of_leads.' ~ column) if column in urls else 'visits_of_leads.' ~ column }} as {{ column }},
    {%- endfor %}
    loaded.has_orders_loaded as has_orders_loaded,
    case when loaded.has_orders_loaded then coalesce(orders.orders, 0) end as orders,
    case when loaded.has_orders_loaded then cast(coalesce(orders.revenue, 0) as decimal(18, 4)) end as revenue
from leads
inner join {{ ref('int_calltouch__loaded_parts') }} as loaded
    on loaded.site_id = leads.site_id and loaded.lead_type = leads.lead_type
left join comments on comments.lead_key = leads.lead_key and comments.place = 1
left join {{ ref('int_calltouch__tags_of_leads') }} as tags_of_leads
    on tags_of_leads.lead_key = leads.lead_key
left join {{ ref('int_calltouch__visits_of_leads') }} as visits_of_leads
    on visits_of_leads.lead_key = leads.lead_key
left join orders on orders.lead_key = leads.lead_key

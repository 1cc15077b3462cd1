{%- set leads = {'call': "lead.lead_type = 'call'", 'request': "lead.lead_type = 'request'"} -%}
with ranked_leads as (
    select
        all_leads.*,
        row_number() over (partition by person_key order by created_at, lead_key) as place,
        row_number() over (partition by person_key order by created_at desc, lead_key desc) as place_from_last
    from {{ ref('calltouch__leads') }} as all_leads
    where person_key is not null
),

first_orders as (
    select each_lead.person_key as person_key, min(each_order.created_on) as first_order_on
    from {{ ref('int_calltouch__orders') }} as each_order
    inner join ranked_leads as each_lead on each_lead.lead_key = each_order.lead_key
    group by each_lead.person_key
),

people as (
    select
        lead.person_key as person_key,
        lead.site_id as site_id,
        lead.identified_by as identified_by,
        {%- for column in ['phone', 'email', 'name', 'visitor_id'] %}
        max(lead.{{ column }}) as {{ column }},
        {%- endfor %}
        {%- for end, aggregate, place in [('first', 'min', 'place'), ('last', 'max', 'place_from_last')] %}
        {{ aggregate }}(lead.created_at) as {{ end }}_lead_at,
        {{ aggregate }}(lead.created_at_local) as {{ end }}_lead_at_local,
        {{ aggregate }}(lead.created_on) as {{ end }}_lead_on,
        {%- for name, column in {
            'lead_type': 'lead_type', 'channel': 'channel', 'source': 'source', 'medium': 'medium',
            'campaign': 'utm_campaign',
        }.items() %}
        max(case when lead.{{ place }} = 1 then lead.{{ column }} end) as {{ end }}_{{ name }},
        {%- endfor %}
        {%- endfor %}
        min(case when {{ leads['call'] }} then lead.created_on end) as first_call_on,
        count(*) as leads,
        {%- for name, kind in leads.items() %}
        {%- if name ~ 's' in var('calltouch_journals') %}
        count(case when {{ kind }} then 1 end) as {{ name }}s,
        {%- else %}
        {{ null_of('bigint') }} as {{ name }}s,
        {%- endif %}
        {%- endfor %}
        {%- for flag in ['lead.is_answered', 'not lead.is_answered'] %}
        {%- if 'calls' in var('calltouch_journals') %}
        {{ known_count(flag, leads['call']) }}
        {%- else %}
        {{ null_of('bigint') }}
        {%- endif %} as {{ 'missed' if loop.last else 'answered' }}_calls,
        {%- endfor %}
        {{ known_count('lead.is_target') }} as target_leads,
        {{ known_sum('lead.orders', 'bigint') }} as orders,
        {{ known_sum('lead.revenue', 'decimal(18, 4)') }} as revenue
    from ranked_leads as lead
    group by lead.person_key, lead.site_id, lead.identified_by
)

select
    people.*,
    first_orders.first_order_on as first_order_on,
    {{ days_between('people.first_lead_on', 'first_orders.first_order_on') }} as days_to_first_order
from people
left join first_orders on first_orders.person_key = people.person_key

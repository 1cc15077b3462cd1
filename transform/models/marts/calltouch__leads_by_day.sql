{%- set leads = {
    'call': "each_lead.lead_type = 'call'", 'request': "each_lead.lead_type = 'request'", 'lead': 'true'
} -%}
{%- set has_number = "each_lead.identified_by = 'phone'" -%}
select
    each_lead.site_id as site_id,
    each_lead.created_on as day,
    each_lead.source as source,
    each_lead.medium as medium,
    each_lead.utm_campaign as campaign,
    each_lead.channel as channel,
    each_lead.yandex_direct_campaign_id as yandex_direct_campaign_id,
    {%- for lead, kind in leads.items() %}
    {%- if lead ~ 's' in var('calltouch_journals') or lead == 'lead' %}
    count(case when {{ kind }} then 1 end) as {{ lead }}s,
    {%- for flag in ['target', 'unique', 'unique_target'] %}
    {{ known_count('each_lead.is_' ~ flag, kind) }} as {{ flag }}_{{ lead }}s,
    {%- endfor %}
    {{ known_sum('each_lead.orders', 'bigint', kind) }} as {{ lead ~ '_' if lead != 'lead' }}orders,
    {{ known_sum('each_lead.revenue', 'decimal(18, 4)', kind) }} as {{ lead ~ '_' if lead != 'lead' }}revenue,
    {%- else %}
    {%- for column in ['', 'target_', 'unique_', 'unique_target_'] %}
    {{ null_of('bigint') }} as {{ column }}{{ lead }}s,
    {%- endfor %}
    {{ null_of('bigint') }} as {{ lead }}_orders,
    {{ null_of('decimal(18, 4)') }} as {{ lead }}_revenue,
    {%- endif %}
    {%- endfor %}
    {%- if 'calls' in var('calltouch_journals') %}
    {{ known_count('each_lead.is_answered', leads['call']) }} as answered_calls,
    {{ known_count('not each_lead.is_answered', leads['call']) }} as missed_calls,
    {{ known_sum(talk_seconds('each_lead'), 'bigint', leads['call']) }} as talk_seconds,
    case
        when count(case when {{ leads['call'] }} then 1 end) = 0 then 0
        else nullif(count(distinct case when {{ leads['call'] }} and {{ has_number }} then each_lead.person_key end), 0)
    end as callers
    {%- else %}
    {%- for column in ['answered_calls', 'missed_calls', 'talk_seconds', 'callers'] %}
    {{ null_of('bigint') }} as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
    {%- endif %}
from {{ ref('calltouch__leads') }} as each_lead
group by
    each_lead.site_id, each_lead.created_on, each_lead.source, each_lead.medium,
    each_lead.utm_campaign, each_lead.channel, each_lead.yandex_direct_campaign_id

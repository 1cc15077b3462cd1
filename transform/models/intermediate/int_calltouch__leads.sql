{#- What calls and requests have in common, by the names of the columns of staging models that both have
    or that stand for the same thing; what one of them lacks is null. -#}
{%- set same = [
    'created_at', 'created_on', 'source', 'medium', 'utm_source', 'utm_medium', 'utm_campaign',
    'utm_content', 'utm_term', 'keywords', 'entry_url', 'referrer', 'city', 'device', 'manager',
    'visitor_id', 'session_id', 'is_target', 'is_unique', 'is_unique_target', 'google_client_id',
    'yandex_client_id', 'yandex_direct_campaign_id', 'yandex_direct_ad_group_id',
    'yandex_direct_ad_id', 'yandex_direct_criteria_id', 'google_ads_campaign_id',
    'google_ads_ad_group_id', 'google_ads_creative_id', 'google_ads_criteria_id', 'browser',
] -%}
{%- set text, number, flag = dbt.type_string(), dbt.type_bigint(), dbt.type_boolean() -%}
{#- A call that goes on is neither answered nor missed yet. -#}
{%- set different = {
    'session_on': ('cast(session_at_local as date)', 'cast(session_at_local as date)'),
    'os': ('operating_system', 'operating_system'),
    'attribution': ('attribution_model', 'attribution_model'),
    'page_url': ('call_url', 'request_url'),
    'site_domain': ('hostname', 'hostname'),
    'client_name': (null_of(text), 'client_name'),
    'subject': (null_of(text), 'subject'),
    'is_answered': ("case when coalesce(phase, '') <> 'callconnected' then is_successful end", null_of(flag)),
    'duration_seconds': ('duration_seconds', null_of(number)),
    'waiting_seconds': ('waiting_seconds', null_of(number)),
    'dialled_number': ('phone_number', null_of(text)),
    'is_offline': ('coalesce(session_id, visitor_id) is null and entry_url is null', 'false'),
} -%}
{%- for journal in var('calltouch_journals') %}
{%- set lead = journal[:-1] %}
select
    '{{ lead }}-' || {{ lead }}_key as lead_key,
    '{{ lead }}' as lead_type,
    site_id,
    {{ lead }}_id as lead_id,
    {%- for column in same %}
    {{ column }},
    {%- endfor %}
    {%- for column, (of_call, of_request) in different.items() %}
    {{ of_call if lead == 'call' else of_request }} as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ ref('stg_calltouch__' ~ journal) }}
{{ 'union all' if not loop.last }}
{%- endfor %}

select
    {{ request_key() }} as request_key,
    request."siteId" as site_id,
    request."requestId" as request_id,
    request."date" as created_at,
    {{ local_day('request."date"') }} as created_on,
    {{ wall_time('request."dateStr"') }} as created_at_local,
    request."requestNumber" as request_number,
    {{ known('request."subject"') }} as subject,
    {{ known('request."requestUrl"') }} as request_url,
    {{ known('request."manager"') }} as manager,
    request."uniqueRequest" as is_unique,
    request."targetRequest" as is_target,
    request."uniqTargetRequest" as is_unique_target,
    {{ integer_field('request."client"', 'clientId') }} as client_id,
    {{ known_field('request."client"', 'fio') }} as client_name,
    request."ctClientId" as visitor_id,
    request."ctGlobalId" as global_visitor_id,
    {{ integer_field('request."session"', 'sessionId') }} as session_id,
    {{ field('request."session"', 'sessionDate') }} as session_date_text,
    {{ wall_time(field('request."session"', 'sessionDate')) }} as session_at_local,
    {{- traffic('request."session"', 'keywords') }}
    {{ integer_field('request."session"', 'attribution') }} as attribution_model,
    {{ known_field('request."session"', 'browser') }} as user_agent,
    {{ known_field('request."session"', 'browserName') }} as browser,
    {{ known_field('request."session"', 'os') }} as operating_system,
    {{ known_field('request."session"', 'device') }} as device,
    {{ known_field('request."session"', 'yaClientId') }} as yandex_client_id,
    {%- for column, name, parts in [
        ('yandexDirect', 'yandex_direct', [
            ('campaignId', 'campaign_id'), ('adGroupId', 'ad_group_id'),
            ('adId', 'ad_id'), ('criteriaId', 'criteria_id'),
        ]),
        ('googleAdWords', 'google_ads', [
            ('campaignId', 'campaign_id'), ('adGroupId', 'ad_group_id'),
            ('creativeId', 'creative_id'), ('criteriaId', 'criteria_id'),
        ]),
    ] %}
    {%- for field_name, suffix in parts %}
    {{ integer_field('request."' ~ column ~ '"', field_name) }} as {{ name }}_{{ suffix }},
    {%- endfor %}
    {%- endfor %}
    request."requestType" as request_type,
    request."status" as status
from {{ ref('base_calltouch__requests') }} as request

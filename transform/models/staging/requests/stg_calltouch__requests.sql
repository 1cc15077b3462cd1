{{ config(enabled='requests' in var('calltouch_journals')) }}
select
    {{ lead_columns('request') }},
    record."date" as created_at,
    {{ local_day('record."date"') }} as created_on,
    {{ wall_time('record."dateStr"') }} as created_at_local,
    record."requestNumber" as request_number,
    {{ known('record."subject"') }} as subject,
    {{ known('record."requestUrl"') }} as request_url,
    {{ known('record."hostname"') }} as hostname,
    {{ known('record."manager"') }} as manager,
    record."uniqueRequest" as is_unique,
    record."targetRequest" as is_target,
    record."uniqTargetRequest" as is_unique_target,
    {{ integer_field('record."client"', 'clientId') }} as client_id,
    {{ known_field('record."client"', 'fio') }} as client_name,
    record."ctClientId" as visitor_id,
    record."ctGlobalId" as global_visitor_id,
    {{ integer_field('record."session"', 'sessionId') }} as session_id,
    {{ field('record."session"', 'sessionDate') }} as session_date_text,
    {{ wall_time(field('record."session"', 'sessionDate')) }} as session_at_local,
    {{- traffic('record."session"', 'keywords') }}
    {{ integer_field('record."session"', 'attribution') }} as attribution_model,
    {{ known_field('record."session"', 'browser') }} as user_agent,
    {{ known_field('record."session"', 'browserName') }} as browser,
    {{ known_field('record."session"', 'os') }} as operating_system,
    {{ known_field('record."session"', 'device') }} as device,
    {{ known_field('record."session"', 'yaClientId') }} as yandex_client_id,
    {{- advertising() }}
    record."requestType" as request_type,
    record."status" as status
from {{ ref('base_calltouch__requests') }} as record

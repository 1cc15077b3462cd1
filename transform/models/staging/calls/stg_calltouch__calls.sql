{{ config(enabled='calls' in var('calltouch_journals')) }}
select
    {{ lead_columns('call') }},
    record."timestamp" as created_at,
    {{ local_day('record."timestamp"') }} as created_on,
    {{ wall_time('record."date"') }} as created_at_local,
    record."callphase" as phase,
    record."duration" as duration_seconds,
    record."waitingConnect" as waiting_seconds,
    record."callerNumber" as caller_number,
    record."redirectNumber" as redirect_number,
    record."phoneNumber" as phone_number,
    {{ known('record."manager"') }} as manager,
    record."successful" as is_successful,
    record."uniqueCall" as is_unique,
    record."targetCall" as is_target,
    record."uniqTargetCall" as is_unique_target,
    record."callbackCall" as is_callback,
    record."ctCallerId" as caller_id,
    record."ctClientId" as visitor_id,
    record."ctGlobalId" as global_visitor_id,
    record."sessionId" as session_id,
    record."sessionDate" as session_date_text,
    {{ wall_time('record."sessionDate"') }} as session_at_local,
    {%- for name, column in [
        ('source', 'source'), ('medium', 'medium'), ('utmSource', 'utm_source'),
        ('utmMedium', 'utm_medium'), ('utmCampaign', 'utm_campaign'),
        ('utmContent', 'utm_content'), ('utmTerm', 'utm_term'), ('keyword', 'keywords'),
        ('url', 'entry_url'), ('callUrl', 'call_url'), ('ref', 'referrer'),
        ('hostname', 'hostname'), ('city', 'city'), ('ip', 'ip'),
        ('clientId', 'google_client_id'), ('yaClientId', 'yandex_client_id'),
        ('userAgent', 'user_agent'), ('browser', 'browser'), ('os', 'operating_system'),
        ('device', 'device'), ('siteName', 'site_name'), ('subPoolName', 'sub_pool_name'),
        ('poolType', 'pool_type'), ('statusDetails', 'status_details'),
    ] %}
    {{ known('record."' ~ name ~ '"') }} as {{ column }},
    {%- endfor %}
    record."attribution" as attribution_model,
    {{- advertising() }}
    {{ integer_field('record."callbackInfo"', 'callbackRequestId') }} as callback_request_id,
    {{ known_field('record."callbackInfo"', 'email') }} as callback_email,
    record."sipCallId" as sip_call_id,
    record."callReferenceId" as call_reference_id,
    'https://api.calltouch.ru/calls-service/RestAPI/' || cast(record."siteId" as varchar)
        || '/calls-diary/calls/' || cast(record."callId" as varchar) || '/download' as recording_url
from {{ ref('base_calltouch__calls') }} as record

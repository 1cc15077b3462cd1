select
    {{ part_key() }} as request_visit_key,
    {{ request_key() }} as request_key,
    request."siteId" as site_id,
    request."requestId" as request_id,
    item.position as visit_number,
    {{ integer_field('item.value', 'sessionId') }} as session_id,
    {{ field('item.value', 'sessionDate') }} as session_date_text,
    {{ wall_time(field('item.value', 'sessionDate')) }} as session_at_local,
    {{- traffic('item.value', 'keyword') }}
    {{ known_field('item.value', 'userAgent') }} as user_agent,
    {{ integer_field('item.value', 'ctClientId') }} as visitor_id,
    {{ field('item.value', 'ctGlobalId') }} as global_visitor_id
from {{ ref('base_calltouch__requests') }} as request
cross join {{ items_of('request."mapVisits"') }}

select
    {{ part_key() }} as request_comment_key,
    {{ request_key() }} as request_key,
    request."siteId" as site_id,
    request."requestId" as request_id,
    {{ integer_field('item.value', 'commentId') }} as comment_id,
    {{ field('item.value', 'comment') }} as comment_text,
    {{ integer_field('item.value', 'partyId') }} as author_id,
    {{ known_field('item.value', 'partyName') }} as author
from {{ ref('base_calltouch__requests') }} as request
cross join {{ items_of('request."comments"') }}

with groups as (
    select
        request."siteId" as site_id,
        request."requestId" as request_id,
        item.position as group_position,
        item.value -> 'names' as names,
        {{ known_field('item.value', 'type') }} as tag_type
    from {{ ref('base_calltouch__requests') }} as request
    cross join {{ items_of('request."RequestTags"') }}
),

texts as (
    select groups.*, item.position as text_position, {{ text_of('item.value') }} as names_text
    from groups
    cross join {{ items_of('groups.names') }}
)

select
    {{ key_of([
        'texts.site_id', 'texts.request_id', 'texts.group_position', 'texts.text_position',
        'part.position',
    ]) }} as request_tag_key,
    {{ key_of(['texts.site_id', 'texts.request_id']) }} as request_key,
    texts.site_id,
    texts.request_id,
    trim(part.name) as tag,
    texts.tag_type
from texts
cross join lateral unnest(string_to_array(texts.names_text, ',')) with ordinality
    as part (name, position)
where trim(part.name) <> ''

{#- What the staging models of the two journals have in common. `lead` is `request` or `call`, and
    `record` is the row as loaded. -#}

{% macro lead_columns(lead) -%}
    {{ key_of(['record."siteId"', 'record."' ~ lead ~ 'Id"']) }} as {{ lead }}_key,
    record."siteId" as site_id,
    record."{{ lead }}Id" as {{ lead }}_id
{%- endmacro %}

{#- The first columns of a part, such as a comment. -#}
{% macro part_columns(lead, part) -%}
    {{ key_of(['record."siteId"', 'record."' ~ lead ~ 'Id"', 'item.position']) }}
        as {{ lead }}_{{ part }}_key,
    {{ lead_columns(lead) }}
{%- endmacro %}

{#- The rows as loaded, each as often as its array has items. -#}
{% macro from_parts(lead, array) -%}
{{ from_items(ref('base_calltouch__' ~ lead ~ 's'), 'record', 'record."' ~ array ~ '"') }}
{%- endmacro %}

{#- The ids of the advertising systems. What Google calls an ad is a creative in the journal of
    requests; sources disagree on its name in that of calls. -#}
{% macro advertising() %}
    {%- for column, name, fields in [
        ('yandexDirect', 'yandex_direct', [
            (['campaignId'], 'campaign_id'), (['adGroupId'], 'ad_group_id'),
            (['adId'], 'ad_id'), (['criteriaId'], 'criteria_id'),
        ]),
        ('googleAdWords', 'google_ads', [
            (['campaignId'], 'campaign_id'), (['adGroupId'], 'ad_group_id'),
            (['creativeId', 'adId'], 'creative_id'), (['criteriaId'], 'criteria_id'),
        ]),
    ] %}
    {%- for names, suffix in fields %}
    coalesce(
        {%- for field_name in names -%}
            {{ integer_field('record."' ~ column ~ '"', field_name) }}{{ ', ' if not loop.last }}
        {%- endfor -%}
    ) as {{ name }}_{{ suffix }},
    {%- endfor %}
    {%- endfor %}
{%- endmacro %}

{% macro comments(lead) %}
select
    {{ part_columns(lead, 'comment') }},
    {{ integer_field('item.value', 'commentId') }} as comment_id,
    {{ field('item.value', 'comment') }} as comment_text,
    {{ integer_field('item.value', 'partyId') }} as author_id,
    {{ known_field('item.value', 'partyName') }} as author
{{ from_parts(lead, 'comments') }}
{% endmacro %}

{% macro visits(lead) %}
select
    {{ part_columns(lead, 'visit') }},
    item.position as visit_number,
    {{ integer_field('item.value', 'sessionId') }} as session_id,
    {{ field('item.value', 'sessionDate') }} as session_date_text,
    {{ wall_time(field('item.value', 'sessionDate')) }} as session_at_local,
    {{- traffic('item.value', 'keyword') }}
    {{ known_field('item.value', 'userAgent') }} as user_agent,
    {{ integer_field('item.value', 'ctClientId') }} as visitor_id,
    {{ field('item.value', 'ctGlobalId') }} as global_visitor_id
{{ from_parts(lead, 'mapVisits') }}
{% endmacro %}

{#- One tag a row: the names of a group of tags, split at commas. -#}
{% macro tags(lead, column) %}
with groups as (
    select
        record."siteId" as site_id,
        record."{{ lead }}Id" as {{ lead }}_id,
        item.position as group_position,
        {{ object_field('item.value', 'names') }} as names,
        {{ known_field('item.value', 'type') }} as tag_type
    {{ from_parts(lead, column) }}
),

texts as (
    select groups.*, item.position as text_position, {{ text_of('item.value') }} as names_text
    {{ from_items('groups', 'groups', 'groups.names') }}
)

select
    {{ key_of([
        'texts.site_id', 'texts.' ~ lead ~ '_id', 'texts.group_position', 'texts.text_position',
        'part.position',
    ]) }} as {{ lead }}_tag_key,
    {{ key_of(['texts.site_id', 'texts.' ~ lead ~ '_id']) }} as {{ lead }}_key,
    texts.site_id,
    texts.{{ lead }}_id,
    trim(part.name) as tag,
    texts.tag_type
{{ from_split('texts', 'texts.names_text') }}
where trim(part.name) <> ''
{% endmacro %}

{#- The kinds of tags that have columns of their own, and the names of these. -#}
{% macro tag_types() %}{{ return(['MANUAL', 'WEB-API', 'AUTO-CT', 'AUTO-PN', 'AUTO-PR', 'AUTO-AF']) }}{% endmacro %}
{% macro tag_column(type) %}tags_{{ type | lower | replace('-', '_') }}{% endmacro %}

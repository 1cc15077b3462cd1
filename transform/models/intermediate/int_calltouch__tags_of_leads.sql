with tags as (
    {%- for journal in var('calltouch_journals') %}
    {%- set lead = journal[:-1] %}
    select '{{ lead }}-' || {{ lead }}_key as lead_key, tag, tag_type
    from {{ ref('stg_calltouch__' ~ lead ~ '_tags') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    lead_key,
    {{ list_of('tag') }} as tags
    {%- for type in tag_types() -%}
    ,
    {{ list_of('tag', "tag_type = '" ~ type ~ "'") }} as {{ tag_column(type) }}
    {%- endfor %}
from tags
group by lead_key

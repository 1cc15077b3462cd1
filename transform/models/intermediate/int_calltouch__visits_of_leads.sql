with visits as (
    {%- for journal in var('calltouch_journals') %}
    {%- set lead = journal[:-1] %}
    select
        '{{ lead }}-' || visit.{{ lead }}_key as lead_key,
        -- The hour may be that of a 12-hour clock.
        cast(visit.session_at_local as date) as visited_on,
        visit.visit_number,
        visit.source,
        visit.medium,
        visit.utm_campaign,
        visit.utm_term,
        visit.entry_url,
        {{ channel('visit.source', 'visit.medium', 'visit.utm_source', 'visit.utm_medium') }} as channel
    from {{ ref('stg_calltouch__' ~ lead ~ '_visits') }} as visit
    inner join {{ ref('stg_calltouch__' ~ journal) }} as {{ lead }}
        on {{ lead }}.{{ lead }}_key = visit.{{ lead }}_key
    -- A lead that is loaded again may list visits after it.
    where visit.session_at_local is null
        or cast(visit.session_at_local as date) <= cast({{ lead }}.created_at_local as date)
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

places as (
    select
        *,
        row_number() over (partition by lead_key order by visited_on, visit_number) as place,
        -- Counted from the last visit that was not direct.
        row_number() over (
            partition by lead_key, case when channel in ('direct', 'unknown') then 0 else 1 end
            order by visited_on desc, visit_number desc
        ) as place_from_last,
        count(*) over (partition by lead_key) as visits
    from visits
)

select
    lead_key,
    max(visits) as visits
    {%- for prefix, condition, columns in [
        ('first', 'place = 1', {
            'source': 'source', 'medium': 'medium', 'campaign': 'utm_campaign', 'term': 'utm_term',
            'page': 'entry_url',
        }),
        ('last', 'place = visits', {'source': 'source', 'medium': 'medium'}),
        ('last_non_direct', "place_from_last = 1 and channel not in ('direct', 'unknown')", {
            'source': 'source', 'medium': 'medium', 'campaign': 'utm_campaign',
        }),
    ] -%}
    {%- for name, column in columns.items() -%}
    ,
    max(case when {{ condition }} then {{ column }} end) as {{ prefix }}_{{ name }}
    {%- endfor %}
    {%- endfor %}
from places
group by lead_key

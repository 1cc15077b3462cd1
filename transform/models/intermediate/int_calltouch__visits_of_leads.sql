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
        case
            when {{ channel('visit.source', 'visit.medium', 'visit.utm_source', 'visit.utm_medium') }}
                in ('direct', 'unknown') then 0
            else 1
        end as has_source
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
        -- Counted from the last, those that were not direct apart from the others.
        row_number() over (
            partition by lead_key, has_source order by visited_on desc, visit_number desc
        ) as place_from_last,
        count(*) over (partition by lead_key) as visits
    from visits
)

select
    visit.lead_key as lead_key,
    max(visit.visits) as visits
    {%- for prefix, condition, columns in [
        ('first', 'visit.place = 1', {
            'source': 'source', 'medium': 'medium', 'campaign': 'utm_campaign', 'term': 'utm_term',
            'page': 'entry_url',
        }),
        ('last', 'visit.place = visit.visits', {'source': 'source', 'medium': 'medium'}),
        ('last_non_direct', 'visit.has_source = 1 and visit.place_from_last = 1', {
            'source': 'source', 'medium': 'medium', 'campaign': 'utm_campaign',
        }),
    ] -%}
    {%- for name, column in columns.items() -%}
    ,
    max(case when {{ condition }} then visit.{{ column }} end) as {{ prefix }}_{{ name }}
    {%- endfor %}
    {%- endfor %}
from places as visit
group by visit.lead_key

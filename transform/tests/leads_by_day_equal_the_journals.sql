-- The days on which the mart counts other leads than the journals have.
{%- set instants = {'request': 'date', 'call': 'timestamp'} %}
with counts as (
    {%- for journal in var('calltouch_journals') %}
    {%- set lead = journal[:-1] %}
    select
        "siteId" as site_id,
        {{ local_day('"' ~ instants[lead] ~ '"') }} as day,
        '{{ lead }}' as lead_type,
        1 as in_journal,
        0 as in_mart
    from {{ ref('base_calltouch__' ~ journal) }}
    union all
    select site_id, day, '{{ lead }}' as lead_type, 0 as in_journal, {{ journal }} as in_mart
    from {{ ref('calltouch__leads_by_day') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    site_id,
    day,
    lead_type,
    sum(counts.in_journal) as in_journal,
    sum(counts.in_mart) as in_mart
from counts
group by site_id, day, lead_type
having sum(counts.in_journal) <> sum(counts.in_mart)

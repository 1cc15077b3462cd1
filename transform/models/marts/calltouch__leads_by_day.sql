select
    site_id,
    created_on as day,
    source,
    medium,
    utm_campaign as campaign,
    {%- for prefix, condition in [
        ('', 'true'), ('target_', 'is_target'), ('unique_', 'is_unique'),
    ] %}
    {%- for lead in ['call', 'request'] %}
    count(case when lead_type = '{{ lead }}' and {{ condition }} then 1 end) as {{ prefix }}{{ lead }}s,
    {%- endfor %}
    count(case when {{ condition }} then 1 end) as {{ prefix }}leads,
    {%- endfor %}
    {%- for measure, type in [('orders', 'bigint'), ('revenue', 'decimal(18, 4)')] %}
    {%- for lead in ['call', 'request'] %}
    cast(sum(case when lead_type = '{{ lead }}' then each_lead.{{ measure }} else 0 end) as {{ type }})
        as {{ lead }}_{{ measure }},
    {%- endfor %}
    cast(sum(each_lead.{{ measure }}) as {{ type }}) as {{ measure }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ ref('calltouch__leads') }} as each_lead
group by 1, 2, 3, 4, 5

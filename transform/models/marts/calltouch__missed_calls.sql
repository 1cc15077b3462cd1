{{ config(enabled='calls' in var('calltouch_journals')) }}
with leads as (
    select
        *,
        -- Only a number says that two calls are of the same caller.
        case when identified_by = 'phone' then person_key else lead_key end as caller_key,
        case when lead_type = 'call' and not is_answered then 1 else 0 end as is_missed,
        {{ epoch_seconds('created_at') }} as second_of_lead
    from {{ ref('calltouch__leads') }}
    where lead_type = 'request' or is_answered is not null
),

next_contacts as (
    select
        *,
        {%- for lead in ['call', 'request'] %}
        min(case when lead_type = '{{ lead }}' and is_missed = 0 then second_of_lead end) over (
            partition by caller_key order by second_of_lead
            range between current row and unbounded following
        ) as second_of_next_{{ lead }}{{ ',' if not loop.last }}
        {%- endfor %}
    from leads
),

calls as (
    select
        *,
        case
            when is_missed = 1
                and lag(is_missed) over (partition by caller_key order by created_at, lead_key) = 1
                and second_of_lead - lag(second_of_lead) over (partition by caller_key order by created_at, lead_key)
                    <= {{ var('calltouch_redial_seconds') }}
                then 0
            else 1
        end as is_new_event
    from next_contacts
    where lead_type = 'call'
),

numbered_calls as (
    select
        *,
        sum(is_new_event) over (
            partition by caller_key order by created_at, lead_key
            rows between unbounded preceding and current row
        ) as event_number
    from calls
),

missed_calls as (
    select
        *,
        row_number() over (partition by caller_key, event_number order by created_at, lead_key) as place,
        count(*) over (partition by caller_key, event_number) as calls,
        max(created_at_local) over (partition by caller_key, event_number) as last_call_at_local,
        case
            when second_of_next_request is null or second_of_next_call <= second_of_next_request
                then second_of_next_call
            else second_of_next_request
        end as second_of_contact
    from numbered_calls
    where is_missed = 1
)

select
    {%- for column in [
        'lead_key', 'site_id', 'created_at', 'created_at_local', 'created_on', 'manager',
        'dialled_number', 'phone', 'person_key', 'channel', 'source', 'medium',
    ] %}
    missed_calls.{{ column }} as {{ column }},
    {%- endfor %}
    missed_calls.utm_campaign as campaign,
    cast(extract(hour from missed_calls.created_at_local) as bigint) as hour,
    missed_calls.calls as calls,
    missed_calls.last_call_at_local as last_call_at_local,
    case when missed_calls.identified_by = 'phone' then missed_calls.second_of_contact is not null end
        as got_through,
    case
        when missed_calls.second_of_contact is null then null
        when missed_calls.second_of_contact = missed_calls.second_of_next_call then 'call'
        else 'request'
    end as got_through_by,
    {{ per('missed_calls.second_of_contact - missed_calls.second_of_lead', '60') }} as minutes_to_get_through
from missed_calls
where missed_calls.place = 1

{{ config(enabled='calls' in var('calltouch_journals')) }}
with calls as (
    select
        all_calls.*,
        row_number() over (partition by person_key order by created_at, lead_key) as number_of_person
    from {{ ref('calltouch__leads') }} as all_calls
    where lead_type = 'call'
)

select
    call.yandex_client_id as "ClientId",
    {{ epoch_seconds('call.created_at') }} as "DateTime",
    -- A number that is shown to one visitor alone has a session.
    case when call.session_id is null then 1 else 0 end as "StaticCall",
    {{ if_ordered('call', 'call.revenue') }} as "Price",
    {{ if_ordered('call', "'" ~ var('calltouch_currency') ~ "'") }} as "Currency",
    '+' || {{ phone_number('call.dialled_number') }} as "PhoneNumber",
    {{ talk_seconds('call') }} as "TalkDuration",
    call.waiting_seconds as "HoldDuration",
    case when call.is_answered then 0 else 1 end as "CallMissed",
    case
        when call.person_key is null then null
        when call.number_of_person = 1 then 1
        else 0
    end as "FirstTimeCaller",
    {{ list_text('call.tags') }} as "Tag",
    call.page_url as "URL",
    {#- The journal has no link into Calltouch. #}
    {{ null_of(dbt.type_string()) }} as "CallTrackerURL"
from calls as call
where {{ is_for_metrica('call') }}
    -- A call that goes on has no length yet.
    and call.is_answered is not null

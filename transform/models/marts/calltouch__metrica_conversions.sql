select
    lead.yandex_client_id as "ClientId",
    '{{ var("calltouch_metrica_target") }}' as "Target",
    {{ epoch_seconds('lead.created_at') }} as "DateTime",
    {{ if_ordered('lead', 'lead.revenue') }} as "Price",
    {{ if_ordered('lead', "'" ~ var('calltouch_currency') ~ "'") }} as "Currency"
from {{ ref('calltouch__leads') }} as lead
where {{ is_for_metrica('lead') }}
    and {{ is_conversion('lead') }}

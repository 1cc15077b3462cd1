{{ config(enabled='calls' in var('calltouch_journals')) }}
select
    {{ part_columns('call', 'phrase') }},
    item.position as phrase_number,
    {{ integer_field('item.value', 'channel') }} as channel,
    case {{ integer_field('item.value', 'channel') }}
        when 0 then 'client'
        when 1 then 'operator'
    end as speaker,
    {{ field('item.value', 'time') }} as time_text,
    {{ seconds(field('item.value', 'time')) }} as seconds,
    {{ field('item.value', 'message') }} as phrase
{{ from_parts('call', 'phrases') }}

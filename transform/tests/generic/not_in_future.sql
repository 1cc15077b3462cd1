-- The instants that are yet to come, with an hour for clocks that differ.
{% test not_in_future(model, column_name) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} > {{ now_in_utc() }} + interval '1 hour'
{% endtest %}

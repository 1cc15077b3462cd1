{{ loaded_requests() }}

{{ config(materialized='view') }}

{{ bars_of_minutes(5) }}

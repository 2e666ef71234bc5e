"""The owner's page, on Streamlit: speaks HTTP to the gateway (and the cloud), imports neither."""

"""Controls: fields, sliders, buttons and text, and what is made of them for any parameter."""

"""A seeded simulator of ICU stays, for machines that have no records.

Everything it makes is synthetic and says so: `synthetic` is set, the source is `simulator`, stay ids begin
with `sim-`. It shows that the parts work together; it proves nothing about patients.

    physiology  how each variable varies, and what sepsis does to it
    course      the latent severity over a stay: stable, septic, recovering
    latent      severity and correlated noise -> the true value of each variable over time
    charting    when it is measured, when it becomes known, and what goes wrong
    mix_ups     laboratory results that were somebody else's, until they are corrected or withdrawn
    stays       the stays of a seed, raw and checked
    ward        an endless stream of admissions to the beds of one ward
"""

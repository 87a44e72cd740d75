SELECT * FROM tandem.health(1);
